-- Devices as people see them: what a list shows and filters by stands in the device's own row.
ALTER TABLE device ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN notes TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN folder_id TEXT REFERENCES folder (id);
-- Of the unit that it has now.
ALTER TABLE device ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN serial_number TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN revision TEXT;
-- As it was claimed.
ALTER TABLE device ADD COLUMN mode TEXT;
-- As it said when it came last.
ALTER TABLE device ADD COLUMN firmware TEXT;
-- never_seen, offline, online: as `connection` says, written with it.
ALTER TABLE device ADD COLUMN presence TEXT NOT NULL DEFAULT 'never_seen';
ALTER TABLE device ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
-- A bit for each thing that somebody should look at.
ALTER TABLE device ADD COLUMN attention BIGINT NOT NULL DEFAULT 0;
-- Name, serial number and id in lower case.
ALTER TABLE device ADD COLUMN search TEXT NOT NULL DEFAULT '';

UPDATE device SET
    model = COALESCE((SELECT u.model FROM claim c JOIN unit u ON u.id = c.unit_id
                      WHERE c.device_id = device.id AND c.ended IS NULL), ''),
    serial_number = COALESCE((SELECT u.serial_number FROM claim c JOIN unit u ON u.id = c.unit_id
                              WHERE c.device_id = device.id AND c.ended IS NULL), ''),
    revision = (SELECT u.revision FROM claim c JOIN unit u ON u.id = c.unit_id
                WHERE c.device_id = device.id AND c.ended IS NULL),
    mode = (SELECT c.mode FROM claim c WHERE c.device_id = device.id AND c.ended IS NULL),
    firmware = (SELECT c.firmware FROM connection c WHERE c.device_id = device.id),
    presence = COALESCE((SELECT CASE WHEN c.online = 1 THEN 'online' ELSE 'offline' END
                         FROM connection c WHERE c.device_id = device.id), 'never_seen'),
    since = COALESCE((SELECT c.online_since FROM connection c WHERE c.device_id = device.id),
                     created);
UPDATE device SET name = model || ' ' || serial_number WHERE model <> '';
UPDATE device SET name = id WHERE name = '';
UPDATE device SET name_key = lower(name),
                  search = lower(name || ' ' || serial_number || ' ' || id);

-- Whatever a list filters by is in the index that gives its order: the worst it does is to go
-- through the index once.
CREATE INDEX device_listed ON device (company_id, name_key, id, presence, attention, model, mode,
                                      firmware, project_id, site_id, folder_id, search);
CREATE INDEX device_since ON device (company_id, since, id);
-- Counted in one go, in the order of the groups.
CREATE INDEX device_counted ON device (company_id, model, mode, firmware, presence, attention,
                                       project_id, site_id);
CREATE INDEX device_of_site ON device (site_id);
CREATE INDEX device_of_folder ON device (folder_id) WHERE folder_id IS NOT NULL;
