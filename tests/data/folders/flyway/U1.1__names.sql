DROP TRIGGER lower_name ON items;
DROP FUNCTION lower_name();
