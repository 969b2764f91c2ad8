//! `lines`: shows the lines, or gives an order to a station behind one.

use super::args::{DivertWord, Lines, LinesTool, ProgrammeChosen, SwitchWord};
use super::{Exit, Failure, ask};
use crate::control::protocol::{DivertWhen, OrderAsked, Request, SwitchTo};

pub(super) fn run(options: &Lines) -> Result<Exit, Failure> {
    let Some(tool) = &options.tool else {
        return ask::once(&options.ask, &Request::Lines);
    };
    let (at, order) = match tool {
        LinesTool::Text(options) => {
            let text = options.text.clone();
            (&options.at, OrderAsked::Text { text })
        }
        LinesTool::Programme(options) => {
            let channel = match options.programme {
                ProgrammeChosen::Off => None,
                ProgrammeChosen::Channel(channel) => Some(channel),
            };
            (&options.at, OrderAsked::Programme { channel })
        }
        LinesTool::Announce(options) => {
            let (message, priority) = (options.message, options.priority);
            (&options.at, OrderAsked::Announce { message, priority })
        }
        LinesTool::Divert(options) => {
            let order = divert(options.when, options.to.clone())?;
            (&options.at, order)
        }
        LinesTool::Privacy(options) => {
            let switch = match options.privacy {
                SwitchWord::On => SwitchTo::On,
                SwitchWord::Off => SwitchTo::Off,
            };
            (&options.at, OrderAsked::Privacy { switch })
        }
        LinesTool::Test(at) => (at, OrderAsked::Test),
        LinesTool::Output(options) => {
            let output = options.output;
            let order = match (options.on, options.off) {
                (true, _) => OrderAsked::Switch {
                    output,
                    switch: SwitchTo::On,
                },
                (_, true) => OrderAsked::Switch {
                    output,
                    switch: SwitchTo::Off,
                },
                (false, false) => OrderAsked::Pulse {
                    output,
                    milliseconds: (options.pulse * 1000.0).round() as u64,
                },
            };
            (&options.at, order)
        }
    };
    let station = at.station.clone();
    ask::once(&at.ask, &Request::Order { station, order })
}

fn divert(when: DivertWord, to: Option<String>) -> Result<OrderAsked, Failure> {
    let when = match when {
        DivertWord::Always => DivertWhen::Always,
        DivertWord::Busy => DivertWhen::Busy,
        DivertWord::NoReply => DivertWhen::NoReply,
        DivertWord::Off => return Ok(OrderAsked::DivertOff),
    };
    let to = to.ok_or_else(|| Failure::usage("say to which number calls are diverted"))?;
    Ok(OrderAsked::Divert { when, to })
}
