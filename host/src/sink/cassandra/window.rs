//! How much may be in flight towards a store: halved when it is overwhelmed, regained bit by bit.

/// A request of many rows takes as much of the window as this many of one row: 8 of the former in
/// flight and 64 of the latter are what a node serves best.
pub(super) const UNIT_WEIGHT: usize = 8;

/// A limit of weight in flight.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    size_max: usize,
    in_flight: usize,
    /// What the store took since the size last changed.
    taken: usize,
    /// What was in flight when the size was halved, and still is: it says the same once more.
    doomed: usize,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The store took it.
    Taken,
    /// The store has more than it can do.
    Overwhelmed,
    /// It failed for another reason.
    Failed,
}

impl Window {
    /// As wide as it may ever be: so many requests of many rows.
    pub(super) fn new(requests_max: usize) -> Self {
        let size_max = requests_max * UNIT_WEIGHT;
        Self {
            size: size_max,
            size_max,
            in_flight: 0,
            taken: 0,
            doomed: 0,
        }
    }

    /// Whether a request of this weight may follow what is in flight. What is wider than the window
    /// goes alone.
    pub(super) fn has_room(&self, weight: usize) -> bool {
        self.in_flight == 0 || self.in_flight + weight <= self.size
    }

    /// A request of this weight is on its way.
    pub(super) fn start(&mut self, weight: usize) {
        self.in_flight += weight;
    }

    /// It has ended. A store that is overwhelmed halves the window, once a round trip; when as much
    /// as the window holds was taken, there is room for one request more.
    pub(super) fn end(&mut self, weight: usize, end: End) {
        self.in_flight -= weight;
        let is_doomed = self.doomed > 0;
        self.doomed = self.doomed.saturating_sub(weight);
        match end {
            End::Taken => {
                self.taken += weight;
                if self.taken >= self.size {
                    self.taken = 0;
                    self.size = (self.size + UNIT_WEIGHT).min(self.size_max);
                }
            }
            End::Overwhelmed if !is_doomed => {
                (self.taken, self.doomed) = (0, self.in_flight);
                self.size = (self.size / 2).max(UNIT_WEIGHT);
            }
            End::Overwhelmed | End::Failed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens in a window of 8 requests: `>` one starts, `+` one is taken, `-` the store is
    /// overwhelmed, `x` one fails, `.` a row is sent and taken. Then so many may be in flight.
    fn check(events: &str, requests: usize) {
        let mut window = Window::new(8);
        for event in events.chars() {
            match event {
                '>' => window.start(UNIT_WEIGHT),
                '+' => window.end(UNIT_WEIGHT, End::Taken),
                '-' => window.end(UNIT_WEIGHT, End::Overwhelmed),
                'x' => window.end(UNIT_WEIGHT, End::Failed),
                _ => {
                    window.start(1);
                    window.end(1, End::Taken);
                }
            }
        }
        assert_eq!(window.in_flight, 0, "{events}");
        let room = (0..).take_while(|_| {
            let has_room = window.has_room(UNIT_WEIGHT);
            window.start(UNIT_WEIGHT);
            has_room
        });
        assert_eq!(room.count(), requests, "{events}");
    }

    #[test]
    fn it_halves_at_once_and_grows_by_one_a_round_trip() {
        check("", 8);
        check(&">+".repeat(100), 8);
        check(">x", 8);
        check(">-", 4);
        check(">->-", 2);
        check(&">-".repeat(9), 1);
        check(&format!(">-{}", ">+".repeat(3)), 4);
        check(&format!(">-{}", ">+".repeat(4)), 5);
        check(&format!(">-{}", ">+".repeat(4 + 5)), 6);
        check(&format!(">-{}", ".".repeat(31)), 4);
        check(&format!(">-{}", ".".repeat(32)), 5);
        check(&format!("{}{}", ">-".repeat(5), ">+".repeat(100)), 8);
        // What was taken before says nothing about what is taken now.
        check(">->+>+>+>->+", 2);
    }

    #[test]
    fn it_halves_once_a_round_trip() {
        check(">>>>----", 4);
        check(">>>>--x-", 4);
        check(">>->--", 2);
        check(">>+->-", 2);
    }

    #[test]
    fn what_is_wider_than_the_window_goes_alone() {
        let mut window = Window::new(1);
        assert!(window.has_room(100));
        window.start(1);
        assert!(!window.has_room(UNIT_WEIGHT));
    }
}
