-- The whole life of an agent: more instances than one, what agents were before
-- they were suspended, and the books of the guard.

-- +goose Up

-- Which agents belong to whom: a cache. The instance of what was known before is
-- the one without a name.
ALTER TABLE agents RENAME TO agents_1;
CREATE TABLE agents (
  instance TEXT    NOT NULL, -- as the configuration calls it
  agent    TEXT    NOT NULL, -- Connect UserId
  owner    TEXT    NOT NULL, -- Okta user id
  since    INTEGER NOT NULL, -- when we created it
  retired  INTEGER NOT NULL, -- by a rename
  group_id TEXT    NOT NULL, -- of the group that made the owner an agent
  absent   INTEGER NOT NULL, -- since when the owner is in no mapped group
  cliff    TEXT    NOT NULL, -- why removals must be approved
  PRIMARY KEY (instance, agent)
) WITHOUT ROWID;
CREATE INDEX agents_owner ON agents (owner, instance, agent);
CREATE INDEX agents_group ON agents (instance, group_id) WHERE retired = 0;
INSERT OR REPLACE INTO agents (instance, agent, owner, since, retired, group_id, absent, cliff)
  SELECT '', agent, owner, since, 0, '', 0, '' FROM agents_1 ORDER BY since;
DROP TABLE agents_1;

-- Changes whose outcome is open.
ALTER TABLE intents RENAME TO intents_1;
CREATE TABLE intents (
  person   TEXT    NOT NULL,
  instance TEXT    NOT NULL,
  change   TEXT,             -- JSON of what was about to be done
  username TEXT    NOT NULL, -- of the agent that it makes; empty: it makes none
  started  INTEGER NOT NULL,
  looks    INTEGER NOT NULL,
  creates  INTEGER NOT NULL,
  taken    INTEGER NOT NULL,
  PRIMARY KEY (person, instance)
) WITHOUT ROWID;
INSERT INTO intents (person, instance, change, username, started, looks, creates, taken)
  SELECT person, '', NULL, username, started, looks, creates, taken FROM intents_1;
DROP TABLE intents_1;

-- Agents as they were before they were suspended.
CREATE TABLE tombstones (
  agent    TEXT    NOT NULL PRIMARY KEY, -- Connect UserId
  instance TEXT    NOT NULL,
  person   TEXT    NOT NULL,
  content  TEXT    NOT NULL, -- JSON of the agent
  taken    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tombstones_person ON tombstones (person);

-- Places taken in the rolling windows. They are numbered without a gap, so that
-- the difference of two numbers counts what lies between them.
CREATE TABLE places (
  id       INTEGER PRIMARY KEY,
  instance TEXT    NOT NULL,
  person   TEXT    NOT NULL,
  hash     TEXT    NOT NULL, -- of the change; empty: it may not be made again for this place
  at       INTEGER NOT NULL, -- never before that of an earlier place of the instance
  span     TEXT    NOT NULL, -- the short window that it counts in; empty: it was approved and counts in none
  nth      INTEGER NOT NULL, -- number in that window, from 1
  removal  INTEGER NOT NULL  -- number among the removals of the instance, from 1; 0: it is none
);
CREATE INDEX places_person  ON places (person, instance, hash, at);
CREATE INDEX places_at      ON places (instance, at);
CREATE INDEX places_span    ON places (instance, span, at, nth) WHERE nth > 0;
CREATE INDEX places_removal ON places (instance, at, removal)   WHERE removal > 0;

-- What waits for somebody to approve it. The hold H7 has the id 7.
CREATE TABLE holds (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  instance TEXT    NOT NULL,
  cause    TEXT    NOT NULL,
  opened   INTEGER NOT NULL
);
CREATE INDEX holds_cause ON holds (instance, cause);

-- One row for each time that a change was held.
CREATE TABLE hold_entries (
  id       INTEGER PRIMARY KEY,
  hold     INTEGER NOT NULL REFERENCES holds (id),
  person   TEXT    NOT NULL,
  instance TEXT    NOT NULL, -- of the hold
  agent    TEXT    NOT NULL,
  kind     TEXT    NOT NULL,
  action   TEXT    NOT NULL,
  hash     TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  state    TEXT    NOT NULL,
  created  INTEGER NOT NULL,
  expires  INTEGER NOT NULL,
  decider  TEXT    NOT NULL DEFAULT '', -- who decided
  decided  INTEGER NOT NULL DEFAULT 0,  -- and when
  change   TEXT                         -- JSON; gone when the person was erased
);
CREATE INDEX hold_entries_hold    ON hold_entries (hold, person, id);
CREATE INDEX hold_entries_person  ON hold_entries (person, instance, id);
CREATE INDEX hold_entries_waiting ON hold_entries (hold, expires) WHERE state = 'waiting';

-- People who are left as they are for a while.
CREATE TABLE stays (
  person TEXT    NOT NULL PRIMARY KEY,
  who    TEXT    NOT NULL,
  why    TEXT    NOT NULL,
  since  INTEGER NOT NULL,
  until  INTEGER NOT NULL
) WITHOUT ROWID;

-- What an entry says besides. Entries of before say none of it.
ALTER TABLE journal ADD COLUMN instance TEXT NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN fields   TEXT NOT NULL DEFAULT ''; -- JSON list; empty for none
ALTER TABLE journal ADD COLUMN asker    TEXT NOT NULL DEFAULT ''; -- who asked for it
ALTER TABLE journal ADD COLUMN hold     TEXT NOT NULL DEFAULT '';
CREATE INDEX journal_kind ON journal (kind, seq);
