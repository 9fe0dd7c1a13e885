-- names are kept in small letters; the trigger sees to it
CREATE FUNCTION lower_name() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    NEW.name := lower(NEW.name);
    RETURN NEW;
END;
$body$;
CREATE TRIGGER lower_name BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION lower_name();
