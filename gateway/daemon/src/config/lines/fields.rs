//! The settings of lines to older intercom servers, each documented where it is declared.
//!
//! Pure declaration, like `config::fields`. Which of them go together is judged in `check`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::CallNumber;

use super::values::{PrefixPair, VersionText};
use crate::config::section::{Located, section};
use crate::config::values::{Secret, Whole, words};

words! {
    /// How a line is built.
    pub(crate) enum LinkWord {
        /// Serial network of servers.
        Net = "NET",
        /// Network cards over Ethernet.
        Lan = "LAN",
        /// Serial link to other equipment.
        Gev = "GEV",
        /// Two-wire network.
        CnetW = "CNET-W",
        /// Network over E1.
        CnetE1 = "CNET-E1",
        /// ISDN basic rate.
        S0 = "S0",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// Who speaks on a line.
    pub(crate) enum DriverWord {
        /// The open link profile.
        Versicle = "versicle",
        /// ACDP, simple link.
        Acdp = "acdp",
        /// ISDN.
        Isdn = "isdn",
        /// A table.
        Table = "table",
        /// Nobody.
        None = "none",
    }
}

words! {
    /// What stands at the other end.
    pub(crate) enum ServerWord {
        /// The server that has the bridge cards.
        GatewaySide = "gateway_side",
        /// Any other.
        Older = "older",
    }
}

words! {
    /// How calls are heard.
    pub(crate) enum SoundWord {
        /// By RTP that the protocol tells of.
        Rtp = "rtp",
        /// On B channels.
        Channels = "channels",
        /// By SIP.
        Sip = "sip",
        /// Not at all.
        None = "none",
    }
}

section! {
    /// A line to an older intercom server.
    pub(crate) struct LineSection {
        /// Lasting name of the line and of the server at its other end: stations behind it say
        /// behind = "NAME". Shown in `lines`, metrics and logs.
        name: Required<String> = r#""hall""#,
        /// How the line is built: "NET", "LAN", "GEV", "CNET-W", "CNET-E1", "S0" or "other". It is
        /// shown, and chooses nothing but the interface of ISDN.
        kind: Required<LinkWord> = r#""LAN""#,
        /// Who speaks on it: "versicle" (the open link profile), "acdp", "isdn", "table" (see
        /// `table`) or "none": there is no driver yet; the line is shown everywhere, with that
        /// reason, and does nothing.
        driver: Defaulted<DriverWord> = r#""none""#,
        /// What stands at the other end: "gateway_side", the server that has the bridge cards, or
        /// "older", any other.
        server: Defaulted<ServerWord> = r#""older""#,
        /// Its software, as its configuration tool shows it. At least "11.1.6" for "gateway_side",
        /// and "PRO 800 6.4 build 3" for others; what is older is refused, what is not given is
        /// remarked, unless the kind is "other". No protocol of these lines tells it.
        version: Optional<VersionText> = r#""PRO 800 6.4 build 3""#,
        /// Its system number in the network of servers.
        system: Defaulted<Whole<1, 65534>> = "1",
        /// Our system number there.
        own_system: Defaulted<Whole<1, 65534>> = "250",
        /// What is dialled here in front of its numbers. Without it, only its stations in the
        /// directory can be called.
        block: Optional<CallNumber> = r#""7""#,
        /// Its stations' numbers, as "ours=theirs" of the digits in front; the longest that fits
        /// is replaced: "7=" takes a 7 off, "=7" puts one on.
        prefixes: Defaulted<Vec<Located<PrefixPair>>> = "[]",
        /// Our stations' numbers, the same way: as they are here, and as they are dialled there.
        own_prefixes: Defaulted<Vec<Located<PrefixPair>>> = "[]",
        /// How calls over this line are heard: "rtp" (the protocol tells where), "channels" (B
        /// channels of ISDN), "sip" (see `trunk`) or "none". Without it, what the driver can.
        sound: Optional<SoundWord> = r#""sip""#,
        /// For sound = "sip": where the server takes calls, by UDP. Calls from there are those of
        /// its stations.
        trunk: Optional<SocketAddr> = r#""192.0.2.40:5060""#,
        /// How many bridge cards of the server this line stands for; 14 at most in all lines, and
        /// all in one server.
        cards: Defaulted<Whole<0, 14>> = "0",
        /// Number of the desk where call requests of the other end are shown that name none.
        desk: Optional<CallNumber> = r#""500""#,
        /// The token by which the other end knows that we may drive its outputs. Better kept apart
        /// from this file, in the next one. Without either, we drive none.
        authority: Optional<Secret> = r#""correct horse battery staple""#,
        /// File with the token; its first line counts.
        authority_file: Optional<PathBuf> = r#""/etc/antiphon-gateway/hall.token""#,
        /// How long the other end may take to answer a command.
        answer_within: Defaulted<Duration> = r#""5s""#,
        /// Each of its stations is tested (microphone and loudspeaker) once in this time, with a
        /// fifth more or less, never in a call: "10s" to "1d". Two failures in a row are a fault,
        /// two passes take it away.
        /// Without it, stations are tested by order only.
        surveillance: Optional<Duration> = r#""60s""#,
        /// A serial device.
        serial: Perhaps<SerialSection>,
        /// A connection over TCP, with TLS unless `plain` is written.
        tcp: Perhaps<TcpSection>,
        /// A Unix socket.
        unix: Perhaps<UnixSection>,
        /// ISDN in UDP, for a driver "isdn".
        l1oip: Perhaps<L1oipSection>,
        /// An E1 interface of osmo-e1d, for a driver "isdn".
        e1d: Perhaps<E1dSection>,
        /// For a driver "isdn".
        isdn: Nested<IsdnSection>,
        /// For a driver "acdp".
        acdp: Nested<AcdpSection>,
        /// For a driver "table".
        table: Nested<TableSection>,
        /// Other servers, reached through the one at the other end.
        further_servers: Repeated<FurtherServerSection>,
        /// Whom the call number of each bridge channel reaches: one station or one ring group.
        channels: Repeated<ChannelSection>,
        /// Whose commands may open doors of ours; what each may open, its station's rights say.
        trusted: Repeated<TrustedSection>,
        /// Group calls and conferences that the other end may command its stations into.
        rooms: Repeated<RoomSection>,
    }
}

words! {
    /// The parity of a serial line.
    pub(crate) enum ParityWord {
        /// 8N1.
        None = "none",
        /// 8E1.
        Even = "even",
        /// 8O1.
        Odd = "odd",
    }
}

words! {
    /// The wires of a serial line.
    pub(crate) enum ElectricWord {
        /// RS-232.
        Rs232 = "rs232",
        /// RS-422: four wires, nothing to switch.
        Rs422 = "rs422",
        /// RS-485 on two wires.
        Rs485 = "rs485",
        /// RS-485 on four wires.
        Rs485Full = "rs485_full",
    }
}

words! {
    /// The level of RTS.
    pub(crate) enum LevelWord {
        /// High.
        High = "high",
        /// Low.
        Low = "low",
    }
}

section! {
    /// A serial device.
    pub(crate) struct SerialSection {
        /// Its name; those in /dev/serial/by-id stay the same.
        device: Required<PathBuf> = r#""/dev/ttyS0""#,
        /// Baud: 9600 to 115200.
        baud: Defaulted<Whole<1200, 115200>> = "9600",
        /// "none" (8N1), "even" (8E1) or "odd".
        parity: Defaulted<ParityWord> = r#""none""#,
        /// "rs232", "rs422", "rs485" (two wires) or "rs485_full" (four). For the last two the
        /// kernel switches the direction; with an adapter that does so by itself write "rs422".
        electric: Defaulted<ElectricWord> = r#""rs232""#,
        /// RS-485: RTS while something is sent, "high" or "low".
        rts_while_sending: Defaulted<LevelWord> = r#""high""#,
        /// RS-485: pause between switching and the first bit.
        before_sending: Defaulted<Duration> = r#""0ms""#,
        /// RS-485: pause between the last bit and switching back.
        after_sending: Defaulted<Duration> = r#""0ms""#,
    }
}

section! {
    /// A connection over TCP: `connect` or `listen`.
    pub(crate) struct TcpSection {
        /// Where we connect to.
        connect: Optional<SocketAddr> = r#""192.0.2.40:17500""#,
        /// Where we wait for the other end.
        listen: Optional<SocketAddr> = r#""0.0.0.0:17500""#,
        /// Our certificate chain in PEM form; TLS 1.3, both ends prove who they are.
        certificate: Optional<PathBuf> = r#""/etc/antiphon-gateway/line.crt""#,
        /// Its private key in PEM form.
        key: Optional<PathBuf> = r#""/etc/antiphon-gateway/line.key""#,
        /// The authorities whose certificates the other end may have.
        authorities: Optional<PathBuf> = r#""/etc/antiphon-gateway/lines-ca.crt""#,
        /// For `connect`: the name in the other end's certificate. Without it, its address.
        server_name: Optional<String> = r#""server.example.com""#,
        /// No TLS. Whoever reaches the port can then command what the line may command.
        plain: Defaulted<bool> = "false",
    }
}

section! {
    /// A Unix socket: `connect` or `listen`.
    pub(crate) struct UnixSection {
        /// The socket that we connect to.
        connect: Optional<PathBuf> = r#""/run/other/line.sock""#,
        /// The socket that we wait at; it is created with mode 0660.
        listen: Optional<PathBuf> = r#""/run/antiphon-gateway/line.sock""#,
    }
}

section! {
    /// ISDN in UDP. It is neither encrypted nor proved: use it inside a tunnel.
    pub(crate) struct L1oipSection {
        /// Our address and port.
        bind: Required<SocketAddr> = r#""192.0.2.10:931""#,
        /// The address and port of the other end.
        peer: Required<SocketAddr> = r#""192.0.2.40:931""#,
        /// A number that both ends have; without it, none is sent.
        identity: Optional<Whole<0, 0xFFFF_FFFF>> = "1",
    }
}

section! {
    /// An E1 line that osmo-e1d has.
    pub(crate) struct E1dSection {
        /// Its control socket.
        socket: Defaulted<PathBuf> = r#""/run/osmo-e1d/osmo-e1d.ctl""#,
        /// Number of the interface.
        interface: Defaulted<Whole<0, 254>> = "0",
        /// Number of the line on it.
        line: Defaulted<Whole<0, 254>> = "0",
    }
}

words! {
    /// A side of ISDN.
    pub(crate) enum SideWord {
        /// The terminal.
        User = "user",
        /// The exchange.
        Network = "network",
    }
}

words! {
    /// A dialect of Q.931.
    pub(crate) enum DialectWord {
        /// Euro-ISDN.
        Dss1 = "dss1",
        /// Between private exchanges.
        Qsig = "qsig",
    }
}

words! {
    /// An interface of ISDN.
    pub(crate) enum InterfaceWord {
        /// Two B channels.
        Basic = "basic",
        /// Thirty.
        Primary = "primary",
    }
}

section! {
    /// An ISDN line.
    pub(crate) struct IsdnSection {
        /// What we are on it: "user" or "network".
        side: Defaulted<SideWord> = r#""user""#,
        /// "dss1" (Euro-ISDN) or "qsig".
        dialect: Defaulted<DialectWord> = r#""dss1""#,
        /// "basic" (two B channels) or "primary" (thirty). Without it, "basic" for S0.
        interface: Optional<InterfaceWord> = r#""primary""#,
        /// A bus with several terminals; for "basic".
        bus: Defaulted<bool> = "false",
        /// So many digits make a whole number, where the caller does not say that it is whole.
        whole_number: Optional<Whole<1, 8>> = "3",
    }
}

section! {
    /// An ACDP line.
    pub(crate) struct AcdpSection {
        /// Our device number; `own_system` is our node.
        own_device: Defaulted<Whole<0, 255>> = "1",
        /// The server's device number; `system` is its node.
        server_device: Defaulted<Whole<0, 255>> = "0x41",
        /// Lines of the server without a checksum are taken.
        checksum_optional: Defaulted<bool> = "false",
        /// How many exchanges our messages may pass.
        hops: Defaulted<Whole<1, 31>> = "1",
    }
}

section! {
    /// A driver that is a table: `file` or `preset`.
    pub(crate) struct TableSection {
        /// The file of the driver; `antiphon-gateway driver FILE` says what it covers.
        file: Optional<PathBuf> = r#""my-server.toml""#,
        /// A preset in place of it; `antiphon-gateway driver --presets` lists them.
        preset: Optional<String> = r#""mcip-ascii""#,
        /// A preset may drive outputs. A file says so itself.
        outputs_enabled: Defaulted<bool> = "false",
    }
}

section! {
    /// A server that is reached through another one.
    pub(crate) struct FurtherServerSection {
        /// Its lasting name: stations behind it say behind = "NAME".
        name: Required<String> = r#""annex""#,
        /// Its system number.
        system: Required<Whole<1, 65534>> = "2",
        /// What is dialled here in front of its numbers.
        block: Optional<CallNumber> = r#""8""#,
        /// Its stations' numbers, as "ours=theirs" of the digits in front.
        prefixes: Defaulted<Vec<Located<PrefixPair>>> = "[]",
    }
}

section! {
    /// A bridge channel.
    pub(crate) struct ChannelSection {
        /// Its call number, as the other end dials it.
        number: Required<CallNumber> = r#""801""#,
        /// Number of a station or of a ring group.
        to: Required<CallNumber> = r#""200""#,
    }
}

section! {
    /// Somebody at the other end whose commands count here.
    pub(crate) struct TrustedSection {
        /// The token that its commands show.
        authority: Optional<Secret> = r#""correct horse battery staple""#,
        /// File with the token; its first line counts.
        authority_file: Optional<PathBuf> = r#""/etc/antiphon-gateway/desk.token""#,
        /// The station of the directory that it acts as.
        station: Required<CallNumber> = r#""500""#,
    }
}

section! {
    /// A room by its number on the line.
    pub(crate) struct RoomSection {
        /// How the line calls it.
        group: Required<Whole<0, 65535>> = "1",
        /// The number of the group call or conference here.
        number: Required<CallNumber> = r#""600""#,
    }
}
