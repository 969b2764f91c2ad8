-- Dissectors for lines to older intercom servers in captures that
-- `antiphon-gateway timeline export` writes.
--
--   tshark -X lua_script:antiphon.lua -r timeline.pcapng
--   or copy it to Wireshark's folder of personal Lua plugins.
--
-- USER0 is the open link profile (docs/open-link-profile.md), USER1 ACDP's simple
-- link layer, USER2 what a table driver speaks, which is shown as text.

local TYPES = {
  [0x01] = "HELLO", [0x02] = "HELLO answer", [0x04] = "KEEPALIVE",
  [0x05] = "SNAPSHOT ask", [0x06] = "SNAPSHOT item", [0x07] = "SNAPSHOT end",
  [0x10] = "STATION_STATE", [0x11] = "STATION_FAULT",
  [0x12] = "LINE_TEST", [0x13] = "LINE_TEST result",
  [0x20] = "CALLREQ_NEW", [0x21] = "CALLREQ_UPDATE", [0x22] = "CALLREQ_CANCEL",
  [0x23] = "CALLREQ_CLAIM", [0x24] = "CALLREQ_CLOSED",
  [0x30] = "CALL_SETUP", [0x31] = "CALL_PROGRESS", [0x32] = "CALL_CONNECTED",
  [0x33] = "CALL_RELEASE", [0x34] = "CALL_RELEASED", [0x35] = "HOLD", [0x36] = "RETRIEVE",
  [0x37] = "TRANSFER", [0x38] = "TALK_MODE", [0x39] = "TALK_KEY", [0x3A] = "KEYS",
  [0x40] = "GROUP_START", [0x41] = "GROUP_STOP", [0x42] = "CONF_JOIN",
  [0x43] = "CONF_LEAVE", [0x44] = "CONF_TALK",
  [0x50] = "OUTPUT_SET", [0x51] = "OUTPUT_STATE", [0x52] = "INPUT_STATE",
  [0x53] = "DOOR_OPEN", [0x54] = "DOOR_STATE",
  [0x60] = "TEXT", [0x61] = "PROGRAMME", [0x62] = "ANNOUNCE", [0x70] = "DIVERT",
  [0x72] = "PRIVACY", [0x7E] = "RESULT", [0x7F] = "VENDOR",
}

-- Shared by both: what does not fit its check.
local function bad_check(proto)
  return ProtoExpert.new(proto .. ".bad_check", "the check does not fit",
    expert.group.CHECKSUM, expert.severity.ERROR)
end

-- The open link profile ---------------------------------------------------------

local link = Proto("antiphon_link", "Antiphon open link")
local f = {
  control = ProtoField.string("antiphon_link.control", "Control"),
  type = ProtoField.uint8("antiphon_link.type", "Type", base.HEX, TYPES),
  flags = ProtoField.uint8("antiphon_link.flags", "Flags", base.HEX),
  hops = ProtoField.uint8("antiphon_link.hops", "Hops"),
  source = ProtoField.uint16("antiphon_link.source", "Source node"),
  target = ProtoField.uint16("antiphon_link.target", "Destination node"),
  reference = ProtoField.uint16("antiphon_link.reference", "Reference"),
  field = ProtoField.bytes("antiphon_link.field", "Field"),
}
link.fields = f
local link_bad = bad_check("antiphon_link")
link.experts = { link_bad }

local function crc_x25(octets, length)
  local crc = 0xFFFF
  for i = 0, length - 1 do
    crc = bit.bxor(crc, octets:get_index(i))
    for _ = 1, 8 do
      local low = bit.band(crc, 1)
      crc = bit.rshift(crc, 1)
      if low == 1 then crc = bit.bxor(crc, 0x8408) end
    end
  end
  return bit.bxor(crc, 0xFFFF)
end

-- Octets between flags, without stuffing.
local function unstuffed(tvb)
  local plain, escaped = {}, false
  for i = 0, tvb:len() - 1 do
    local octet = tvb(i, 1):uint()
    if octet == 0x7D then
      escaped = true
    elseif octet ~= 0x7E then
      if escaped then octet = bit.bxor(octet, 0x20) end
      escaped = false
      plain[#plain + 1] = string.format("%02x", octet)
    end
  end
  return ByteArray.new(table.concat(plain))
end

local UNNUMBERED = { [0x6F] = "SABME", [0x0F] = "DM", [0x43] = "DISC", [0x63] = "UA" }
local SUPERVISORY = { [0x01] = "RR", [0x05] = "RNR", [0x09] = "REJ" }

local function control(octets)
  local first = octets:get_index(0)
  if bit.band(first, 3) == 3 then
    return UNNUMBERED[bit.band(first, 0xEF)] or "U", 1
  end
  local second = octets:get_index(1)
  local expected = bit.rshift(second, 1)
  if bit.band(first, 1) == 1 then
    return string.format("%s, N(R)=%d", SUPERVISORY[first] or "S", expected), 2
  end
  return string.format("I, N(S)=%d, N(R)=%d", bit.rshift(first, 1), expected), 2
end

function link.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "OPENLINK"
  local tree = root:add(link, tvb())
  local octets = unstuffed(tvb)
  local length = octets:len() - 2
  if length < 1 then
    tree:add_proto_expert_info(link_bad, "no frame")
    return
  end
  local check = octets:get_index(length) + octets:get_index(length + 1) * 256
  if crc_x25(octets, length) ~= check then
    tree:add_proto_expert_info(link_bad)
    return
  end
  local text, size = control(octets)
  tree:add(f.control, text)
  pinfo.cols.info = text
  if length < size + 12 then return end
  local pdu = octets:subset(size, length - size):tvb("Message")
  local kind = pdu(3, 1):uint()
  tree:add(f.flags, pdu(1, 1))
  tree:add(f.hops, pdu(2, 1))
  tree:add(f.type, pdu(3, 1))
  tree:add(f.source, pdu(4, 2))
  tree:add(f.target, pdu(6, 2))
  tree:add(f.reference, pdu(8, 2))
  pinfo.cols.info = string.format("%s (%s)", TYPES[kind] or string.format("type %02x", kind), text)
  local at = 12
  while at + 2 <= pdu:len() do
    local long = pdu(at + 1, 1):uint()
    if at + 2 + long > pdu:len() then break end
    tree:add(f.field, pdu(at, 2 + long)):prepend_text(string.format("%02x ", pdu(at, 1):uint()))
    at = at + 2 + long
  end
end

-- ACDP --------------------------------------------------------------------------

local acdp = Proto("antiphon_acdp", "ACDP simple link")
local g = {
  line = ProtoField.string("antiphon_acdp.line", "Line"),
  id = ProtoField.uint16("antiphon_acdp.id", "Message", base.HEX),
  reference = ProtoField.uint16("antiphon_acdp.reference", "Reference", base.HEX),
}
acdp.fields = g
local acdp_bad = bad_check("antiphon_acdp")
acdp.experts = { acdp_bad }

function acdp.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "ACDP"
  local line = tvb():string():gsub("[%c]", "")
  local tree = root:add(acdp, tvb())
  tree:add(g.line, tvb(), line)
  pinfo.cols.info = line
  local digits = line:match("^[^=\"]*"):gsub(" ", "")
  local octets, sum = {}, 0
  for pair in digits:gmatch("%x%x") do
    octets[#octets + 1] = tonumber(pair, 16)
    sum = bit.bxor(sum, octets[#octets])
  end
  for letter in (line:match("\"([^\"]*)") or ""):gmatch(".") do
    sum = bit.bxor(sum, letter:byte())
  end
  local said = line:match("=%s*(%x%x)")
  if said and tonumber(said, 16) ~= sum then tree:add_proto_expert_info(acdp_bad) end
  if #octets < 5 then return end
  local at = 6 + bit.rshift(octets[5], 5)
  if #octets < at + 4 then return end
  tree:add(g.reference, octets[at + 1] * 256 + octets[at + 2])
  tree:add(g.id, octets[at + 3] * 256 + octets[at + 4])
  pinfo.cols.info = string.format("message %02x%02x: %s", octets[at + 3], octets[at + 4], line)
end

-- What a table driver speaks ------------------------------------------------------

local other = Proto("antiphon_table", "Line of a table driver")
local h = { text = ProtoField.string("antiphon_table.text", "Text") }
other.fields = h

function other.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "TABLE"
  local text = tvb():string():gsub("[%c]", ".")
  root:add(other, tvb()):add(h.text, tvb(), text)
  pinfo.cols.info = text
end

local encapsulations = DissectorTable.get("wtap_encap")
encapsulations:add(wtap.USER0, link)
encapsulations:add(wtap.USER1, acdp)
encapsulations:add(wtap.USER2, other)
