-- pgq_coop._forget_name(i_consumer_id)
--
-- Removes a consumer's name, unless it is in use: on another queue, or by another extension that refers to it.

CREATE FUNCTION pgq_coop._forget_name(i_consumer_id integer)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM pgq.consumer c WHERE c.co_id = i_consumer_id;
EXCEPTION
    WHEN foreign_key_violation THEN
        NULL;
END
$$;

COMMENT ON FUNCTION pgq_coop._forget_name(integer) IS 'Internal: removes a consumer''s name, unless it is in use.';
