-- Prints the names that `functions.txt` holds, for a PostgreSQL 15: functions of pg_catalog that compute and do no more.
--
-- A name is in it when every function of the name is immutable or stable, can be called from SQL, and is nothing that another
-- part of PostgreSQL is made of. Those that the catalog calls harmless and that are not (they run a text as SQL, take a
-- transaction id, show what others are doing, read settings of the server) are taken out by hand, and those that the catalog
-- calls volatile and that only look are put in by hand.
WITH builtin AS (
  SELECT p.oid, p.proname AS name, p.provolatile, p.prokind, p.prorettype, p.proargtypes
  FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
), candidate AS (
  SELECT DISTINCT name FROM builtin b
  WHERE b.prokind IN ('f', 'a', 'w')
    AND b.prorettype <> ALL (ARRAY['internal', 'trigger', 'event_trigger', 'cstring', 'language_handler', 'fdw_handler',
                                   'index_am_handler', 'tsm_handler', 'table_am_handler']::regtype[])
    AND NOT ARRAY['internal'::regtype::oid, 'cstring'::regtype::oid] && b.proargtypes::oid[]
    AND NOT EXISTS (SELECT FROM builtin v WHERE v.name = b.name AND v.provolatile = 'v')
    AND NOT EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = b.oid)
    AND NOT EXISTS (SELECT FROM pg_amproc a WHERE a.amproc = b.oid)
    AND NOT EXISTS (SELECT FROM pg_aggregate a WHERE b.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn))
)
SELECT name FROM candidate
WHERE name !~ '^pg_'
  AND name !~ '(sel|_support|recv|send|_validator|typmodin|_canonical|_subdiff|larger|smaller|_accum|_accum_inv)$'
  -- These run queries that are made of their arguments, or read whole schemas.
  AND name !~ '(table|schema|database|query|cursor)_to_xml' AND name NOT IN ('ts_debug', 'ts_stat', 'ts_rewrite', 'xmlvalidate')
  -- These take a transaction id, or tell about transactions.
  AND name !~ '^txid_'
  -- These tell about the server and who is connected to it.
  AND name !~ '^inet_(client|server)_' AND name NOT IN ('getpgusername', 'satisfies_hash_partition', 'makeaclitem')
UNION
SELECT name FROM builtin WHERE name = ANY (ARRAY[
  -- Behind operators, and called by their names all the same.
  'starts_with', 'array_append', 'array_prepend', 'array_cat', 'abs', 'mod', 'power',
  -- Volatile because the answer is another one each time; nothing is changed.
  'random', 'clock_timestamp', 'timeofday', 'gen_random_uuid',
  -- They look at the catalog, or at the size of what one may read.
  'pg_typeof', 'pg_column_size', 'pg_column_compression', 'pg_collation_for', 'pg_size_pretty', 'pg_size_bytes',
  'pg_relation_size', 'pg_table_size', 'pg_indexes_size', 'pg_total_relation_size', 'pg_database_size', 'pg_get_viewdef',
  'pg_get_constraintdef', 'pg_get_indexdef', 'pg_get_expr', 'pg_get_functiondef', 'pg_get_function_arguments',
  'pg_get_function_identity_arguments', 'pg_get_function_result', 'pg_get_partkeydef', 'pg_get_partition_constraintdef',
  'pg_get_serial_sequence', 'pg_get_triggerdef', 'pg_get_ruledef', 'pg_get_userbyid', 'pg_get_statisticsobjdef',
  'pg_get_keywords', 'pg_has_role', 'pg_partition_root', 'pg_partition_tree', 'pg_partition_ancestors', 'pg_describe_object',
  'pg_encoding_to_char', 'pg_char_to_encoding', 'pg_client_encoding', 'pg_sequence_parameters', 'pg_options_to_table',
  'pg_is_in_recovery', 'pg_postmaster_start_time', 'pg_table_is_visible', 'pg_type_is_visible', 'pg_function_is_visible',
  'pg_backend_pid', 'pg_lsn', 'pg_wal_lsn_diff', 'pg_timezone_names', 'pg_timezone_abbrevs',
  'pg_stat_get_live_tuples', 'pg_stat_get_dead_tuples', 'pg_stat_get_numscans', 'pg_stat_get_last_analyze_time'])
ORDER BY 1
