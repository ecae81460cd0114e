//! The project as its users meet it: the command line, installers of all kinds, and the documents, from outside.

mod aws_stand_in;
mod backends;
mod bad_input;
mod cloud_stand_ins;
mod command_line;
mod dependencies;
mod docs;
mod examples;
mod failure_modes;
mod full_disk;
mod helm_compat;
mod helm_stand_in;
mod interrupts;
mod kubectl;
mod secrets;
mod status_watch;
