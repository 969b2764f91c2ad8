//! Check sequences of 16 bits, reflected: X.25's and Modbus'.

/// CRC-16/X-25, the FCS of HDLC (RFC 1662 C.2).
pub(crate) fn x25(octets: &[u8]) -> u16 {
    !reflected(&X25, 0xFFFF, octets)
}

/// CRC-16/MODBUS.
pub(crate) fn modbus(octets: &[u8]) -> u16 {
    reflected(&MODBUS, 0xFFFF, octets)
}

const X25: [u16; 256] = table(0x8408);
const MODBUS: [u16; 256] = table(0xA001);

fn reflected(table: &[u16; 256], start: u16, octets: &[u8]) -> u16 {
    octets.iter().fold(start, |crc, octet| {
        let [_, low] = crc.to_be_bytes();
        crc >> 8 ^ table[usize::from(low ^ octet)]
    })
}

const fn table(polynomial: u16) -> [u16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u16;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ polynomial
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogued_check_values() {
        assert_eq!(x25(b"123456789"), 0x906E);
        assert_eq!(modbus(b"123456789"), 0x4B37);
    }
}
