-- pgq.quote_fqname(i_name)
--
-- Parameters: i_name  schema.name, split at the first dot; without a dot the schema is public
-- Returns:    both halves as SQL identifiers, quoted where they have to be.

CREATE FUNCTION pgq.quote_fqname(i_name text)
RETURNS text LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE strpos($1, '.')
           WHEN 0 THEN 'public.' || quote_ident($1)
           ELSE quote_ident(left($1, strpos($1, '.') - 1)) || '.' || quote_ident(substr($1, strpos($1, '.') + 1))
           END
$$;

COMMENT ON FUNCTION pgq.quote_fqname(text) IS 'Quotes both halves of schema.name as identifiers.';
