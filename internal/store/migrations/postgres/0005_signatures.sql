-- +goose Up

-- The turn that each signature of plain mode has brought first.
CREATE TABLE signatures (
    hash       BYTEA PRIMARY KEY,
    turn       BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);
