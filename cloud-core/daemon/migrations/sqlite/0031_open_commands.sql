-- What is not over of a device's commands: asked at each order. Their number grows with every command
-- that was ever ordered.
DROP INDEX command_under_way;
CREATE INDEX command_open ON command (device_id) WHERE due IS NOT NULL;
