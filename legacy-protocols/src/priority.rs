//! How urgent something is, as the line says it, and how the scales of the lines fit together.
//!
//! Scales run opposite ways and have different steps; this is the only place that knows how. A
//! priority taken to another scale and back stays in its band.

/// The number on the wire, and how it is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Priority {
    value: u8,
    scale: Scale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scale {
    /// 1 to 250, 1 the most urgent: alarm to 20, high to 40, normal to 100, low beyond.
    OneIsHighest,
    /// 1 low, 2 normal, 3 high, 4 alarm (ACDP, calls).
    FourIsAlarm,
    /// 0 to 255, alarm from 120 on (ACDP, call requests). That high begins at 80 and low ends at 19 is
    /// our reading; only the alarm is published.
    AlarmFrom120,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    Alarm,
    High,
    Normal,
    Low,
}

impl Priority {
    /// The middle of the normal band.
    pub const NORMAL: Self = Self {
        value: 70,
        scale: Scale::OneIsHighest,
    };

    /// None for a number that the scale does not have.
    pub const fn new(value: u8, scale: Scale) -> Option<Self> {
        let exists = match scale {
            Scale::OneIsHighest => value >= 1 && value <= 250,
            Scale::FourIsAlarm => value >= 1 && value <= 4,
            Scale::AlarmFrom120 => true,
        };
        if exists {
            Some(Self { value, scale })
        } else {
            None
        }
    }

    pub const fn value(self) -> u8 {
        self.value
    }

    pub const fn scale(self) -> Scale {
        self.scale
    }

    pub const fn band(self) -> Band {
        match (self.scale, self.value) {
            (Scale::OneIsHighest, ..=20)
            | (Scale::FourIsAlarm, 4..)
            | (Scale::AlarmFrom120, 120..) => Band::Alarm,
            (Scale::OneIsHighest, 21..=40)
            | (Scale::FourIsAlarm, 3)
            | (Scale::AlarmFrom120, 80..=119) => Band::High,
            (Scale::OneIsHighest, 41..=100)
            | (Scale::FourIsAlarm, 2)
            | (Scale::AlarmFrom120, 20..=79) => Band::Normal,
            (Scale::OneIsHighest, 101..)
            | (Scale::FourIsAlarm, ..=1)
            | (Scale::AlarmFrom120, ..=19) => Band::Low,
        }
    }

    /// On another scale: the usual number of its band.
    #[must_use]
    pub fn on(self, scale: Scale) -> Self {
        if scale == self.scale {
            return self;
        }
        let value = match (scale, self.band()) {
            (Scale::OneIsHighest, Band::Alarm) => 10,
            (Scale::OneIsHighest, Band::High) => 30,
            (Scale::OneIsHighest, Band::Normal) => 70,
            (Scale::OneIsHighest, Band::Low) => 150,
            (Scale::FourIsAlarm, Band::Alarm) => 4,
            (Scale::FourIsAlarm, Band::High) => 3,
            (Scale::FourIsAlarm, Band::Normal) => 2,
            (Scale::FourIsAlarm, Band::Low) => 1,
            (Scale::AlarmFrom120, Band::Alarm) => 150,
            (Scale::AlarmFrom120, Band::High) => 100,
            (Scale::AlarmFrom120, Band::Normal) => 50,
            (Scale::AlarmFrom120, Band::Low) => 10,
        };
        Self { value, scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_keeps_its_band_on_every_scale_and_back() {
        let scales = [Scale::OneIsHighest, Scale::FourIsAlarm, Scale::AlarmFrom120];
        for scale in scales {
            for other in scales {
                for priority in (0..=255).filter_map(|value| Priority::new(value, scale)) {
                    let there = priority.on(other);
                    assert_eq!(there.scale(), other);
                    assert_eq!(there.band(), priority.band());
                    assert_eq!(there.on(scale).band(), priority.band());
                    assert_eq!(Priority::new(there.value(), other), Some(there));
                }
            }
        }
    }

    #[test]
    fn the_scales_run_opposite_ways() {
        let alarm = Priority::new(1, Scale::OneIsHighest).unwrap();
        assert_eq!(alarm.on(Scale::FourIsAlarm).value(), 4);
        let low = Priority::new(1, Scale::FourIsAlarm).unwrap();
        assert_eq!(low.band(), Band::Low);
    }

    #[test]
    fn a_number_beyond_the_scale_is_none() {
        assert_eq!(Priority::new(0, Scale::OneIsHighest), None);
        assert_eq!(Priority::new(251, Scale::OneIsHighest), None);
        assert_eq!(Priority::new(5, Scale::FourIsAlarm), None);
    }
}
