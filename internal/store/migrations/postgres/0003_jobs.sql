-- +goose Up

-- due_at is when a process may claim the job: scheduled_at while it waits, the
-- end of its lease while it runs, and 0 when it is finished.
CREATE TABLE jobs (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         TEXT NOT NULL,
    args         BYTEA NOT NULL,
    account      BIGINT NOT NULL,
    unique_key   TEXT,
    slot         BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    state        SMALLINT NOT NULL,
    created_at   BIGINT NOT NULL,
    scheduled_at BIGINT NOT NULL,
    due_at       BIGINT NOT NULL,
    attempt      BIGINT NOT NULL DEFAULT 0,
    failures     BIGINT NOT NULL DEFAULT 0,
    error        TEXT NOT NULL DEFAULT '',
    worker       TEXT NOT NULL DEFAULT '',
    attempted_at BIGINT NOT NULL DEFAULT 0,
    finished_at  BIGINT NOT NULL DEFAULT 0
);

-- Completed jobs are in none of the indexes that a claim reads or writes. Kind
-- and state at the end are there to be counted.
CREATE INDEX jobs_due ON jobs (kind, due_at, id, state) WHERE finished_at = 0;
CREATE UNIQUE INDEX jobs_unique ON jobs (unique_key) WHERE finished_at = 0 AND unique_key IS NOT NULL;
CREATE UNIQUE INDEX jobs_slot ON jobs (kind, slot) WHERE slot > 0;
CREATE INDEX jobs_failed ON jobs (state, id, kind) WHERE state > 3;
