-- pgq.set_queue_config(x_queue_name, x_param_name, x_param_value)
--
-- Changes a setting of a queue.
--
-- Parameters: x_param_name   ticker_max_count, ticker_max_lag, ticker_idle_period, ticker_paused, rotation_period,
--                            external_ticker, disable_insert, per_tx_limit or extra_maint: columns of pgq.queue
--                            without queue_
--             x_param_value  as the column's type reads it; NULL only for per_tx_limit (no limit) and extra_maint
-- Returns:    1.
-- Errors:     P0001 queue or parameter name is NULL, no such queue, no such parameter; 22004 the value is NULL;
--             22023 a count or period is negative; 22P02, 22007 the type refuses the text.

CREATE FUNCTION pgq.set_queue_config(x_queue_name text, x_param_name text, x_param_value text)
RETURNS integer LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'set_queue_config_wrapper';

COMMENT ON FUNCTION pgq.set_queue_config(text, text, text) IS 'Changes a setting of a queue.';
