//! Watches a stream: samples that arrive over the UART, states that go out.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod device {
    use flowlet::monitor::{Status, Suspect};
    use flowlet_emulated::{architecture::entry, board, end};
    use flowlet_firmware::message::SUSPECTS;
    use flowlet_firmware::monitored::{CHANNELS, FEATURES, Linked};
    use flowlet_firmware::{Watch, Watching, frame};

    /// The linked model, by calls that can be counted.
    struct Counted(Linked);

    /// One sample. The name and the call are fixed, so that an emulator can count its instructions.
    #[allow(unsafe_code, reason = "an unmangled name must be unique, and it is")]
    #[unsafe(no_mangle)]
    #[inline(never)]
    fn flowlet_watch(linked: &mut Linked, sample: &[f32; CHANNELS]) -> Option<Status> {
        linked.watch(sample)
    }

    /// The sensors of one alarm, as above.
    #[allow(unsafe_code, reason = "an unmangled name must be unique, and it is")]
    #[unsafe(no_mangle)]
    #[inline(never)]
    fn flowlet_attribute(linked: &Linked) -> Option<[Suspect; SUSPECTS]> {
        linked.attribute()
    }

    impl Watch<CHANNELS> for Counted {
        fn watch(&mut self, sample: &[f32; CHANNELS]) -> Option<Status> {
            flowlet_watch(&mut self.0, sample)
        }

        fn attribute(&self) -> Option<[Suspect; SUSPECTS]> {
            flowlet_attribute(&self.0)
        }

        fn name(&self, feature: usize) -> &'static str {
            self.0.name(feature)
        }

        fn is_fit(&self) -> bool {
            self.0.is_fit()
        }
    }

    #[entry]
    fn main() -> ! {
        let mut transmitter = board::start();
        let mut application = Watching::<_, CHANNELS, { frame::max_request(CHANNELS) }>::new(Counted(Linked::new()));
        defmt::info!("ready for samples of {} values, of which it makes {}", CHANNELS, FEATURES);
        defmt::info!("{} bytes of state", size_of::<Linked>());
        application.serve(&board::INBOX, board::sleep, |frame| transmitter.send(frame));
        defmt::info!("stopped by the host: {}, {} late", application.statistics(), application.late());
        end::exit(0)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    flowlet_emulated::refuse()
}
