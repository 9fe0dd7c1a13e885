-- Who is between two versions of a system is asked for with each plan.
CREATE INDEX unfinished_steps_system_idx ON prismicx.unfinished_steps (system_id);
