//! Installer and cluster in one process, and the executable that runs them.

mod bytes;
mod cases;
mod kills;
mod lists;
