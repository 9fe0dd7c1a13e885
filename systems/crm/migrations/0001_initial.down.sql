DROP TABLE company_tags, tags, notes, activities, deals, stages, pipelines, contacts, companies;
