-- +goose Up

CREATE TABLE credentials (
    name       TEXT PRIMARY KEY,
    value      BLOB,
    expires_at BIGINT NOT NULL DEFAULT 0,
    holder     TEXT NOT NULL DEFAULT '',
    held_until BIGINT NOT NULL DEFAULT 0
) WITHOUT ROWID;
