-- The forum's tables, filled anew: psql --set topics=200 --set posts=20 --file forum.sql
DROP DATABASE IF EXISTS forum;
CREATE DATABASE forum;
\connect forum

CREATE TABLE topic (
    id integer PRIMARY KEY,
    title text NOT NULL,
    replies integer NOT NULL
);
CREATE TABLE post (
    id bigserial PRIMARY KEY,
    topic integer NOT NULL REFERENCES topic,
    author text NOT NULL,
    written timestamp NOT NULL DEFAULT now(),
    body text NOT NULL
);

INSERT INTO topic SELECT number, 'Topic ' || number, :posts FROM generate_series(1, :topics) AS number;
-- 24 words each, of a thousand; which, follows from the numbers alone, so that every trial finds the same rows.
INSERT INTO post (topic, author, body)
SELECT topic, 'reader' || (topic * 31 + place * 17) % 97, words
FROM generate_series(1, :posts) AS place, generate_series(1, :topics) AS topic,
    LATERAL (
        SELECT string_agg('word' || (topic * 7919 + place * 104729 + word * 1299709) % 1000, ' ') AS words
        FROM generate_series(1, 24) AS word
    ) AS written;
CREATE INDEX post_topic ON post (topic, id);
ANALYZE;

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'www-data') THEN CREATE ROLE "www-data" LOGIN; END IF;
END $$;
GRANT SELECT, INSERT, UPDATE ON topic, post TO "www-data";
GRANT USAGE ON SEQUENCE post_id_seq TO "www-data";
