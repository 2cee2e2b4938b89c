-- +goose Up

CREATE TABLE accounts (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    path       TEXT UNIQUE,
    guest_key  TEXT UNIQUE,
    config     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);

CREATE TABLE turns (
    id          BYTEA PRIMARY KEY,
    openid      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    message     BYTEA NOT NULL,
    state       SMALLINT NOT NULL,
    reply       BYTEA,
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
);

CREATE TABLE probes (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     BIGINT NOT NULL,
    path   TEXT NOT NULL,
    method TEXT NOT NULL,
    reason TEXT NOT NULL
);

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
