//! TSIG keys as operators keep and exchange them, and dark servers that must not hold up the others.
