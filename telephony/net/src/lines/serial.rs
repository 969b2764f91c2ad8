//! Serial devices: opened, set to speed, framing and direction control, and locked.
//!
//! RS-485's direction is switched by the kernel (`TIOCSRS485`), to the bit, and not by this program.
//! What a device cannot be set to is an error, not a guess. A wrong speed shows as octets with wrong
//! parity or without stop bit; the driver marks them and they are counted (see `marks`).

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::termios::{InputModes, OptionalActions};
use serial2::rs4xx::{Rs485Config, TransceiverMode};
use serial2::{CharSize, FlowControl, SerialPort, Settings, StopBits};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialSettings {
    /// Best a name that stays the same, such as those in `/dev/serial/by-id`.
    pub device: PathBuf,
    pub baud: u32,
    pub parity: Parity,
    pub electric: Electric,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    None,
    Even,
    Odd,
}

/// Which wires there are, and who switches the direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Electric {
    Rs232,
    /// Four wires, both directions at once: needs no switching.
    Rs422,
    /// The driver drives the wires only while something is sent, switched by RTS.
    Rs485 {
        duplex: Duplex,
        before_sending: Duration,
        after_sending: Duration,
        rts_while_sending: Level,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplex {
    /// Two wires: what is sent is not heard.
    Half,
    /// Four wires.
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    High,
    Low,
}

impl SerialSettings {
    /// Opens the device, for us alone.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        let port = SerialPort::open(&self.device, |settings| self.apply(settings))?;
        // The second keeps out those who would be let in all the same: processes of the superuser
        // that ask, such as another gateway.
        rustix::termios::ioctl_tiocexcl(&port)?;
        rustix::fs::flock(&port, FlockOperation::NonBlockingLockExclusive).map_err(in_use)?;
        if let Electric::Rs485 {
            duplex,
            before_sending,
            after_sending,
            rts_while_sending,
        } = self.electric
        {
            let mut config = Rs485Config::new();
            config.set_full_duplex(duplex == Duplex::Full);
            config.set_delay_before_send(before_sending);
            config.set_delay_after_send(after_sending);
            config.set_invert_rts(rts_while_sending == Level::Low);
            port.set_rs4xx_mode(TransceiverMode::Rs485(config))
                .map_err(no_direction_control)?;
        }
        mark_wrong_octets(&port)?;
        // What lay in the driver is of a time before this opening.
        port.discard_buffers()?;
        Ok(port.into())
    }

    fn apply(&self, mut settings: Settings) -> io::Result<Settings> {
        settings.set_raw();
        settings.set_baud_rate(self.baud)?;
        settings.set_char_size(CharSize::Bits8);
        settings.set_stop_bits(StopBits::One);
        settings.set_flow_control(FlowControl::None);
        settings.set_parity(match self.parity {
            Parity::None => serial2::Parity::None,
            Parity::Even => serial2::Parity::Even,
            Parity::Odd => serial2::Parity::Odd,
        });
        Ok(settings)
    }
}

fn mark_wrong_octets(port: &SerialPort) -> io::Result<()> {
    let mut termios = rustix::termios::tcgetattr(port)?;
    termios
        .input_modes
        .remove(InputModes::IGNPAR | InputModes::IGNBRK | InputModes::BRKINT);
    termios
        .input_modes
        .insert(InputModes::PARMRK | InputModes::INPCK);
    Ok(rustix::termios::tcsetattr(
        port,
        OptionalActions::Now,
        &termios,
    )?)
}

fn in_use(error: rustix::io::Errno) -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        format!("another program uses it ({error})"),
    )
}

fn no_direction_control(error: io::Error) -> io::Error {
    let text = format!(
        "the driver of this device cannot switch the direction of RS-485 ({error}); use an adapter \
         that switches by itself and write electric = \"rs422\""
    );
    io::Error::new(io::ErrorKind::Unsupported, text)
}
