-- +goose Up

-- The turn that each signature of plain mode has brought first.
CREATE TABLE signatures (
    hash       BLOB PRIMARY KEY,
    turn       BLOB NOT NULL,
    expires_at BIGINT NOT NULL
) WITHOUT ROWID;
