-- Times are microseconds since 1970-01-01 in UTC. 0 stands for "no such time"
-- where a column may lack one.

-- +goose Up

-- "crst": tells our files from other people's SQLite databases.
PRAGMA application_id = 1668445044;

-- Requests to look at people: one row per person, for ever.
CREATE TABLE people (
  id             INTEGER PRIMARY KEY,
  person         TEXT    NOT NULL UNIQUE,     -- Okta user id
  state          TEXT    NOT NULL CHECK (state IN ('idle', 'due', 'waiting', 'working', 'dead')),
  generation     INTEGER NOT NULL,            -- counts the requests
  claimed        INTEGER NOT NULL DEFAULT 0,  -- the generation that the newest claim covers
  done           INTEGER NOT NULL DEFAULT 0,  -- the newest generation that was worked off
  priority       INTEGER NOT NULL,
  due            INTEGER NOT NULL,            -- not before
  since          INTEGER NOT NULL,            -- when the oldest request that is not done was stored
  attempts       INTEGER NOT NULL DEFAULT 0,  -- failed ones
  asked_by       TEXT    NOT NULL,            -- trigger of the newest request
  event          TEXT    NOT NULL DEFAULT '', -- uuid of the event behind it
  error          TEXT    NOT NULL DEFAULT '', -- why it waits or is dead
  token          TEXT    NOT NULL DEFAULT '', -- of the lease, while working
  lease_until    INTEGER NOT NULL DEFAULT 0,
  again_priority INTEGER NOT NULL DEFAULT 0,  -- of the requests since the claim; they
  again_due      INTEGER NOT NULL DEFAULT 0,  -- count only while generation > claimed
  again_since    INTEGER NOT NULL DEFAULT 0,
  ended          INTEGER NOT NULL DEFAULT 0,  -- when the last look ended
  written        INTEGER NOT NULL             -- when the row was written, to notice a clock that goes back
);
CREATE INDEX people_due     ON people (priority, since, id) WHERE state = 'due';
CREATE INDEX people_waiting ON people (due)                 WHERE state = 'waiting';
CREATE INDEX people_working ON people (lease_until)         WHERE state = 'working';
CREATE INDEX people_dead    ON people (ended, id)           WHERE state = 'dead';

-- The newest thing that events told about a person and a group.
CREATE TABLE facts (
  person       TEXT    NOT NULL,
  group_id     TEXT    NOT NULL,
  group_name   TEXT    NOT NULL,
  login        TEXT    NOT NULL,
  display_name TEXT    NOT NULL,
  member       INTEGER NOT NULL,
  published    INTEGER NOT NULL,
  event        TEXT    NOT NULL,
  PRIMARY KEY (person, group_id)
) WITHOUT ROWID;

-- Which agent belongs to whom: a cache.
CREATE TABLE agents (
  owner TEXT    NOT NULL PRIMARY KEY,
  agent TEXT    NOT NULL,
  since INTEGER NOT NULL
) WITHOUT ROWID;

-- Creations whose outcome is open.
CREATE TABLE intents (
  person   TEXT    NOT NULL PRIMARY KEY,
  username TEXT    NOT NULL,
  started  INTEGER NOT NULL,
  looks    INTEGER NOT NULL,
  creates  INTEGER NOT NULL,
  taken    INTEGER NOT NULL
) WITHOUT ROWID;

-- Small texts by name: the place in the feed, the result of the last sweep.
CREATE TABLE notes (
  name TEXT NOT NULL PRIMARY KEY,
  text TEXT NOT NULL
) WITHOUT ROWID;

-- What was done and refused. Append-only.
CREATE TABLE journal (
  seq      INTEGER PRIMARY KEY,
  time     INTEGER NOT NULL,
  person   TEXT    NOT NULL,
  agent    TEXT    NOT NULL,
  kind     TEXT    NOT NULL,
  action   TEXT    NOT NULL,
  code     TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  asked_by TEXT    NOT NULL,
  event    TEXT    NOT NULL,
  error    TEXT    NOT NULL,
  duration INTEGER NOT NULL, -- nanoseconds
  digest   TEXT    NOT NULL,
  previous TEXT    NOT NULL,
  hash     TEXT    NOT NULL
);
CREATE INDEX journal_person ON journal (person, seq);

-- The personal part of an entry, apart so that it can be erased: deleting a row
-- is allowed, changing one is not.
CREATE TABLE journal_personal (
  seq    INTEGER PRIMARY KEY,
  salt   BLOB NOT NULL,
  before TEXT, -- JSON of the agent
  after  TEXT
);

-- The newest entry of each chain.
CREATE TABLE journal_heads (
  person TEXT    NOT NULL PRIMARY KEY,
  seq    INTEGER NOT NULL,
  hash   TEXT    NOT NULL
) WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER journal_personal_no_update BEFORE UPDATE ON journal_personal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
-- +goose StatementEnd

-- Rows that are rewritten to find out whether the disk still takes writes.
CREATE TABLE probe (
  id      INTEGER PRIMARY KEY,
  time    INTEGER NOT NULL,
  ballast BLOB
);
