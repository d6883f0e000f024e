-- Finding violations by any one of their attributes. The searches begin with the
-- hour: what arrives now goes to one small part of each index, however many
-- sources and paths there are, and a search takes the newest hours first. All of
-- it is derived from columns that are there, so no row is written again.

-- +goose Up
DROP INDEX violations_alert;
DROP INDEX violations_source;
CREATE INDEX violations_number ON violations (number);
CREATE INDEX violations_hour_alert ON violations ((time / 3600000), alert_number, time);
CREATE INDEX violations_hour_source ON violations ((time / 3600000), source_ip, time);
CREATE INDEX violations_hour_path ON violations ((time / 3600000), path, time);
CREATE INDEX violations_hour_facet ON violations ((time / 3600000), site, server_group, service, application, severity, time);

-- The combinations of attributes that have few values each, and the hours in which
-- they occur: which parts of violations_hour_facet a search has to look at.
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

-- +goose Down
DROP TABLE facet_hours;
DROP TABLE facets;
DROP INDEX violations_hour_facet;
DROP INDEX violations_hour_path;
DROP INDEX violations_hour_source;
DROP INDEX violations_hour_alert;
DROP INDEX violations_number;
CREATE INDEX violations_alert ON violations (alert_number);
CREATE INDEX violations_source ON violations (source_ip, time);
