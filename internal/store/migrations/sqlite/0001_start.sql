-- +goose Up

-- AUTOINCREMENT: the number of a forgotten account is never given again,
-- because its turns may still wait to be cleared.
CREATE TABLE accounts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    path       TEXT UNIQUE,
    guest_key  TEXT UNIQUE,
    config     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);

-- A table in order of arrival and one small index beside it: a batch touches
-- the last page of each. Keyed by id (WITHOUT ROWID) it costs three times as
-- much, because ids of one second lie anywhere among each other.
CREATE TABLE turns (
    id          BLOB NOT NULL UNIQUE,
    openid      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    message     BLOB NOT NULL,
    state       SMALLINT NOT NULL,
    reply       BLOB,
    decided_by  TEXT NOT NULL,
    note        TEXT NOT NULL,
    arrived_at  BIGINT NOT NULL,
    answered_at BIGINT NOT NULL,
    repeats     TEXT NOT NULL DEFAULT ''
);

CREATE TABLE followers (
    account       BIGINT NOT NULL,
    openid        TEXT NOT NULL,
    subscribed    SMALLINT NOT NULL,
    scene         TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    last_seen_at  BIGINT NOT NULL,
    PRIMARY KEY (account, openid)
) WITHOUT ROWID;

CREATE TABLE probes (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     BIGINT NOT NULL,
    path   TEXT NOT NULL,
    method TEXT NOT NULL,
    reason TEXT NOT NULL
);

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
