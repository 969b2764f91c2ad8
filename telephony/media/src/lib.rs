//! Pure media: RTP and RTCP relay sessions, latching, quality figures.
