-- Who owns the tables looks up what they refer to with each row that comes. It may as the owner of the database, too,
-- but that is asked among all the roles it made: of two for each tenant.
GRANT USAGE ON SCHEMA public TO prismicx_owner;
