-- Finding violations by segments instead of hours. A segment is the violations of
-- 32,768 numbers: what arrives goes to the newest one's small part of each index,
-- however many that are in an hour. All of it is derived from columns that are
-- there, so no row is written again.

-- +goose Up
DROP TABLE facet_hours;
DROP TABLE facets;
DROP INDEX violations_hour_facet;
DROP INDEX violations_hour_path;
DROP INDEX violations_hour_source;
DROP INDEX violations_hour_alert;
CREATE INDEX violations_segment_alert ON violations ((number / 32768), alert_number, time);
CREATE INDEX violations_segment_source ON violations ((number / 32768), source_ip, time);
CREATE INDEX violations_segment_path ON violations ((number / 32768), path, time);
CREATE INDEX violations_segment_facet ON violations ((number / 32768), site, server_group, service, application, severity, time);

-- The times of the first and of the last violation of each segment.
CREATE TABLE segments (
    segment    BIGINT NOT NULL PRIMARY KEY,
    first_time BIGINT NOT NULL,
    last_time  BIGINT NOT NULL
);
INSERT INTO segments (segment, first_time, last_time)
SELECT number / 32768, MIN(time), MAX(time) FROM violations GROUP BY number / 32768;

-- The combinations of attributes that have few values each, and the segments in which
-- they occur: which parts of violations_segment_facet a search has to look at.
CREATE TABLE facets (
    id           BIGINT NOT NULL PRIMARY KEY,
    site         TEXT   NOT NULL,
    server_group TEXT   NOT NULL,
    service      TEXT   NOT NULL,
    application  TEXT   NOT NULL,
    severity     TEXT   NOT NULL,
    UNIQUE (site, server_group, service, application, severity)
);
CREATE TABLE segment_facets (
    segment BIGINT NOT NULL,
    facet   BIGINT NOT NULL REFERENCES facets (id),
    PRIMARY KEY (segment, facet)
);
INSERT INTO facets (id, site, server_group, service, application, severity)
SELECT ROW_NUMBER() OVER (ORDER BY site, server_group, service, application, severity), site, server_group, service, application, severity
FROM (SELECT DISTINCT site, server_group, service, application, severity FROM violations) AS found;
INSERT INTO segment_facets (segment, facet)
SELECT DISTINCT v.number / 32768, f.id FROM violations v JOIN facets f
ON f.site = v.site AND f.server_group = v.server_group AND f.service = v.service AND f.application = v.application AND f.severity = v.severity;

-- +goose Down
DROP TABLE segment_facets;
DROP TABLE facets;
DROP TABLE segments;
DROP INDEX violations_segment_facet;
DROP INDEX violations_segment_path;
DROP INDEX violations_segment_source;
DROP INDEX violations_segment_alert;
CREATE INDEX violations_hour_alert ON violations ((time / 3600000), alert_number, time);
CREATE INDEX violations_hour_source ON violations ((time / 3600000), source_ip, time);
CREATE INDEX violations_hour_path ON violations ((time / 3600000), path, time);
CREATE INDEX violations_hour_facet ON violations ((time / 3600000), site, server_group, service, application, severity, time);
CREATE TABLE facets (
    id           BIGINT NOT NULL PRIMARY KEY,
    site         TEXT   NOT NULL,
    server_group TEXT   NOT NULL,
    service      TEXT   NOT NULL,
    application  TEXT   NOT NULL,
    severity     TEXT   NOT NULL,
    UNIQUE (site, server_group, service, application, severity)
);
CREATE TABLE facet_hours (
    hour  BIGINT NOT NULL,
    facet BIGINT NOT NULL REFERENCES facets (id),
    PRIMARY KEY (hour, facet)
);
INSERT INTO facets (id, site, server_group, service, application, severity)
SELECT ROW_NUMBER() OVER (ORDER BY site, server_group, service, application, severity), site, server_group, service, application, severity
FROM (SELECT DISTINCT site, server_group, service, application, severity FROM violations) AS found;
INSERT INTO facet_hours (hour, facet)
SELECT DISTINCT v.time / 3600000, f.id FROM violations v JOIN facets f
ON f.site = v.site AND f.server_group = v.server_group AND f.service = v.service AND f.application = v.application AND f.severity = v.severity;
