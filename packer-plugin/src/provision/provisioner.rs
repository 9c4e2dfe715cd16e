//! What Packer calls: schema, Prepare, Provision.

use std::sync::{Arc, Mutex, PoisonError};

use disinherit_core::{Error, Result};

use super::Programs;
use crate::config::{Input, Problems, Settings, options};
use crate::plugin::{CancelToken, Guest, Provisioner};
use crate::wire::msgpack::Value;
use crate::wire::spec::Attr;

/// The provisioner `disinherit`.
#[derive(Debug)]
pub struct Scrubber {
    attributes: Vec<Attr>,
    programs: Result<Programs>,
    prepared: Mutex<Option<Input>>,
}

impl Scrubber {
    /// With what this plugin can bring into a guest; a failure to know it is told by Prepare.
    #[must_use]
    pub fn new(programs: Result<Programs>) -> Self {
        Self { attributes: options::attributes(), programs, prepared: Mutex::default() }
    }

    fn check(&self, configs: &[Value]) -> Result<Input, Problems> {
        let input = Input::from_configs(configs)?;
        let mut problems = Problems::default();
        let programs = match &self.programs {
            Ok(programs) => Some(programs),
            Err(error) => {
                problems.general(error.report());
                None
            }
        };
        match Settings::resolve(&input, None) {
            Ok(settings) => {
                if let Some((option, what)) = programs.and_then(|known| known.check(&settings)) {
                    problems.add(option, what);
                }
                for warning in settings.warnings() {
                    log::warn!("{warning}");
                }
            }
            Err(found) => problems.extend(found),
        }
        problems.into_result().map(|()| input)
    }
}

impl Provisioner for Scrubber {
    fn attributes(&self) -> &[Attr] {
        &self.attributes
    }

    fn prepare(&self, configs: Vec<Value>) -> Result<(), String> {
        let checked = self.check(&configs).map_err(|problems| problems.to_string());
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        // A failed Prepare leaves nothing of an earlier one behind.
        match checked {
            Ok(input) => {
                *prepared = Some(input);
                Ok(())
            }
            Err(text) => {
                *prepared = None;
                Err(text)
            }
        }
    }

    fn provision(&self, data: Value, guest: Guest, cancel: CancelToken) -> Result<(), String> {
        let input = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let input = input.ok_or("Packer asked to provision before it gave a configuration")?;
        let data = crate::config::json(&data);
        let settings =
            Settings::resolve(&input, Some(&data)).map_err(|problems| problems.to_string())?;
        let programs = self.programs.as_ref().map_err(Error::report)?;
        super::run(&settings, programs, &data, Arc::new(guest), cancel)
    }
}
