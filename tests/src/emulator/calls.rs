//! Counts what each call of one function costs, to the instruction.

/// What the calls of one function cost, interrupts not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Calls that returned.
    pub calls: u64,
    /// Instructions of all calls, the return included.
    pub instructions: u64,
    /// Instructions of the longest call.
    pub instructions_max: u64,
    /// Modelled cycles of all calls.
    pub cycles: u64,
    /// Deepest stack of a call in bytes, below the stack pointer of its caller.
    pub stack_max: u32,
}

impl CallCounts {
    /// Instructions of a call, on average.
    pub fn instructions_mean(&self) -> f64 {
        self.instructions as f64 / self.calls as f64
    }
}

/// What one call cost, interrupts not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Instructions, the return included.
    pub instructions: u64,
    /// Modelled cycles.
    pub cycles: u64,
    /// Deepest stack in bytes, below the stack pointer of its caller.
    pub stack: u32,
}

/// Watches a core for calls of the function at one address.
#[derive(Debug)]
pub(super) struct CallCounter {
    entry: Option<u32>,
    call: Option<Open>,
    calls: Vec<Call>,
}

/// A call that has not returned.
#[derive(Debug)]
struct Open {
    return_address: u32,
    stack: u32,
    instructions: u64,
    cycles: u64,
    lowest: u32,
}

/// What the counter sees of the core.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) pc: u32,
    pub(super) sp: u32,
    pub(super) lr: u32,
}

impl CallCounter {
    pub(super) fn new(entry: Option<u32>) -> Self {
        Self { entry, call: None, calls: Vec::new() }
    }

    /// The core is about to run the instruction at `view.pc`, outside interrupts.
    #[inline]
    pub(super) fn before(&mut self, view: View) {
        if self.entry == Some(view.pc) && self.call.is_none() {
            self.call = Some(Open {
                return_address: view.lr & !1,
                stack: view.sp,
                instructions: 0,
                cycles: 0,
                lowest: view.sp,
            });
        }
    }

    /// The core has run one instruction, outside interrupts.
    #[inline]
    pub(super) fn after(&mut self, view: View, cycles: u64) {
        let Some(call) = &mut self.call else { return };
        call.instructions += 1;
        call.cycles += cycles;
        call.lowest = call.lowest.min(view.sp);
        if view.pc == call.return_address && view.sp == call.stack {
            self.calls.push(Call {
                instructions: call.instructions,
                cycles: call.cycles,
                stack: call.stack - call.lowest,
            });
            self.call = None;
        }
    }

    pub(super) fn counts(&self) -> CallCounts {
        let mut counts = CallCounts::default();
        for call in &self.calls {
            counts.calls += 1;
            counts.instructions += call.instructions;
            counts.instructions_max = counts.instructions_max.max(call.instructions);
            counts.cycles += call.cycles;
            counts.stack_max = counts.stack_max.max(call.stack);
        }
        counts
    }

    pub(super) fn into_calls(self) -> Vec<Call> {
        self.calls
    }
}
