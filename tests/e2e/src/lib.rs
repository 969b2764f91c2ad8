//! Real processes and SIP clients nobody here wrote, with tshark as the judge.
