//! NVIDIA's cards by NVIDIA's library, loaded when the program runs and asked for power, energy and memory: the only place
//! that knows the crate. Without the feature `nvml`, and on a machine without the library, there are no cards, and why.

/// What one card says of its power.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Watts: of the moment, on newer cards the mean over a second.
    pub watts: Result<f64, String>,
    /// Millijoules since the driver was loaded; from Volta on.
    pub millijoules: Result<u64, String>,
}

/// What one card says of its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardMemory {
    /// In use by everyone, in bytes; `None` for a card of unified memory, whose driver does not tell.
    pub used: Option<u64>,
    /// Bytes in use per process; `None` for one that the driver does not tell, or for all where it lists none at all.
    pub processes: Option<Vec<(u32, Option<u64>)>>,
}

#[cfg(feature = "nvml")]
mod library {
    use super::{Card, CardMemory};
    use nvml_wrapper::Nvml;
    use nvml_wrapper::enums::device::UsedGpuMemory;

    /// The library.
    pub struct Cards {
        nvml: Nvml,
        count: u32,
    }

    impl Cards {
        /// Loads the library.
        ///
        /// # Errors
        /// When there is no library, no driver, or no card.
        pub fn open() -> Result<Self, String> {
            let nvml =
                Nvml::init().map_err(|why| format!("no NVIDIA driver: {why}: install it where there is a card"))?;
            let count = nvml.device_count().map_err(|why| why.to_string())?;
            if count == 0 {
                return Err("the NVIDIA driver has no card".into());
            }
            Ok(Self { nvml, count })
        }

        /// How many cards there are.
        pub fn count(&self) -> u32 {
            self.count
        }

        /// The power of a card, by its number from 0.
        pub fn power(&self, index: u32) -> Card {
            match self.nvml.device_by_index(index) {
                Err(why) => Card { watts: Err(why.to_string()), millijoules: Err(why.to_string()) },
                Ok(device) => Card {
                    watts: device.power_usage().map(|mw| f64::from(mw) / 1e3).map_err(|why| why.to_string()),
                    millijoules: device.total_energy_consumption().map_err(|why| why.to_string()),
                },
            }
        }

        /// The memory of a card, by its number from 0.
        ///
        /// # Errors
        /// When there is no such card.
        pub fn memory(&self, index: u32) -> Result<CardMemory, String> {
            let device = self.nvml.device_by_index(index).map_err(|why| why.to_string())?;
            let used = device.memory_info().ok().map(|memory| memory.used);
            // Cards of data centres may have no list of those that draw.
            let graphics = device.running_graphics_processes().unwrap_or_default();
            let processes = device.running_compute_processes().ok().map(|compute| {
                let bytes = |used| match used {
                    UsedGpuMemory::Used(bytes) => Some(bytes),
                    UsedGpuMemory::Unavailable => None,
                };
                let mut processes: Vec<(u32, Option<u64>)> =
                    compute.into_iter().chain(graphics).map(|one| (one.pid, bytes(one.used_gpu_memory))).collect();
                // One that computes and draws is in both lists, with the same number.
                processes.sort_unstable();
                processes.dedup_by_key(|(pid, _)| *pid);
                processes
            });
            Ok(CardMemory { used, processes })
        }
    }
}

#[cfg(not(feature = "nvml"))]
mod library {
    use super::{Card, CardMemory};

    /// No library.
    pub enum Cards {}

    impl Cards {
        /// Never succeeds.
        ///
        /// # Errors
        /// Always: this program was built without the feature.
        pub fn open() -> Result<Self, String> {
            Err("built without NVIDIA's library: build with --features nvml".into())
        }

        /// How many cards there are.
        pub fn count(&self) -> u32 {
            match *self {}
        }

        /// The power of a card.
        pub fn power(&self, _: u32) -> Card {
            match *self {}
        }

        /// The memory of a card.
        ///
        /// # Errors
        /// Never.
        pub fn memory(&self, _: u32) -> Result<CardMemory, String> {
            match *self {}
        }
    }
}

pub use library::Cards;
