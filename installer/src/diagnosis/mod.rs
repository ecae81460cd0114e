//! Why pods are not Ready: what is gathered of them, and the classified cause.

mod causes;
mod pods;
mod scheduler;
mod table;

pub use causes::{Cause, Gravity, Subject, Symptoms, node_cause};
pub use pods::{Diagnosis, Unready};
pub use scheduler::{Reason, Scheduling};
