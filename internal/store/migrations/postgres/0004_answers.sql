-- +goose Up

-- What is known of a turn whose answer takes time, beside its row in turns. The
-- state is the same as there.
CREATE TABLE answers (
    turn       BYTEA NOT NULL UNIQUE,
    account    BIGINT NOT NULL,
    openid     TEXT NOT NULL,
    state      SMALLINT NOT NULL,
    holder     TEXT NOT NULL,
    question   TEXT NOT NULL,
    target     BYTEA,
    text       TEXT NOT NULL DEFAULT '',
    done       SMALLINT NOT NULL DEFAULT 0,
    shown      TEXT NOT NULL DEFAULT '',
    sending    TEXT NOT NULL DEFAULT '',
    token      TEXT NOT NULL DEFAULT '',
    page       BYTEA UNIQUE,
    runs       SMALLINT NOT NULL DEFAULT 0,
    usage      TEXT NOT NULL DEFAULT '',
    timeline   TEXT NOT NULL DEFAULT '',
    remembered SMALLINT NOT NULL,
    asked_at   BIGINT NOT NULL,
    ready_at   BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX answers_follower ON answers (account, openid, asked_at);
CREATE INDEX answers_open ON answers (state, expires_at) WHERE state >= 10;

CREATE INDEX answers_sending ON answers (state) WHERE sending <> '';

CREATE TABLE processes (
    id      TEXT PRIMARY KEY,
    seen_at BIGINT NOT NULL
);
