//! Claim codes for people: links, QR codes, and sheets of labels to print.
//!
//! The code stands behind the `#` of its link: a browser that opens it tells no server.

use contract::enrolment::ClaimCode;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use zeroize::Zeroizing;

/// What is printed of one code.
pub(crate) struct Label {
    pub(crate) link: String,
    printed: Zeroizing<String>,
}

impl Label {
    /// `base` is where the portal is found.
    pub(crate) fn of(base: &str, code: &ClaimCode) -> Self {
        let printed = code.printed();
        Self {
            link: format!("{base}/claim#{}", printed.as_str()),
            printed,
        }
    }

    /// The link as SVG.
    pub(crate) fn qr(&self) -> String {
        let code = QrCode::with_error_correction_level(&self.link, EcLevel::M)
            .expect("a link with a host name is far shorter than what a QR code holds");
        code.render::<svg::Color<'_>>()
            .min_dimensions(160, 160)
            .build()
    }
}

/// One line of a sheet.
pub(crate) struct Line {
    pub(crate) model: String,
    pub(crate) serial_number: String,
    pub(crate) label: Label,
}

/// A page for printing, one label each.
pub(crate) fn sheet(lines: &[Line]) -> Zeroizing<String> {
    let mut page = Zeroizing::new(String::from(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Claim codes</title>\n\
         <style>body{font-family:sans-serif}section{display:inline-block;width:19em;margin:1em;\
         page-break-inside:avoid;text-align:center}code{font-size:1.1em}</style>\n",
    ));
    for line in lines {
        page.push_str("<section><div>");
        page.push_str(&escaped(&line.model));
        page.push_str("</div><div>");
        page.push_str(&escaped(&line.serial_number));
        page.push_str("</div>");
        let picture = line.label.qr();
        // Inside a page the heading of an SVG file must not stand.
        let begins = picture.find("<svg").unwrap_or(0);
        page.push_str(&picture[begins..]);
        page.push_str("<div><code>");
        page.push_str(&line.label.printed);
        page.push_str("</code></div></section>\n");
    }
    page.push_str("</html>\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_a_label_carries_the_code_where_no_server_is_told() {
        let code = ClaimCode::from_random([3; 20]);
        let label = Label::of("https://core.example", &code);
        let (address, secret) = label.link.split_once('#').unwrap();
        assert_eq!(address, "https://core.example/claim");
        assert_eq!(secret.parse(), Ok(code));
        assert!(label.qr().contains("<svg"));
    }

    #[test]
    fn d1_a_sheet_shows_what_it_is_given_as_text() {
        let code = ClaimCode::from_random([3; 20]);
        let line = Line {
            model: "OD1".to_owned(),
            serial_number: "<script>".to_owned(),
            label: Label::of("https://core.example", &code),
        };
        let page = sheet(&[line]);
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
        assert!(page.contains(code.printed().as_str()));
        assert!(!page.contains("<?xml"));
    }
}
