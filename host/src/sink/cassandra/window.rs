//! How much may be in flight towards a store: halved when it is overwhelmed, regained bit by bit.

/// A request of many rows takes as much of the window as this many of one row: 8 of the former in
/// flight and 64 of the latter are what a node serves best.
pub(super) const UNIT_WEIGHT: usize = 8;

/// A limit of weight in flight.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    size_max: usize,
    /// What was acknowledged since it last changed.
    acknowledged: usize,
}

impl Window {
    /// As wide as it may ever be: so many requests of many rows.
    pub(super) fn new(requests_max: usize) -> Self {
        let size_max = requests_max * UNIT_WEIGHT;
        Self {
            size: size_max,
            size_max,
            acknowledged: 0,
        }
    }

    /// Whether something of this weight may follow what is in flight. What is wider than the window
    /// goes alone.
    pub(super) fn has_room(&self, in_flight: usize, weight: usize) -> bool {
        in_flight == 0 || in_flight + weight <= self.size
    }

    /// The store took something of this weight: with each round trip of the whole window, there is
    /// room for one more request.
    pub(super) fn acknowledge(&mut self, weight: usize) {
        self.acknowledged += weight;
        if self.acknowledged >= self.size {
            self.acknowledged = 0;
            self.size = (self.size + UNIT_WEIGHT).min(self.size_max);
        }
    }

    /// The store did not get on with what was in flight.
    pub(super) fn halve(&mut self) {
        self.acknowledged = 0;
        self.size = (self.size / 2).max(UNIT_WEIGHT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens in a window of 8 requests: `-` the store is overwhelmed, `+` it takes a request,
    /// `.` it takes a row; and how many requests may be in flight then.
    #[test]
    fn it_halves_at_once_and_grows_by_one_a_round_trip() {
        let check = |events: &str, requests: usize| {
            let mut window = Window::new(8);
            for event in events.chars() {
                match event {
                    '-' => window.halve(),
                    '+' => window.acknowledge(UNIT_WEIGHT),
                    _ => window.acknowledge(1),
                }
            }
            assert!(
                window.has_room((requests - 1) * UNIT_WEIGHT, UNIT_WEIGHT),
                "{events}"
            );
            assert!(!window.has_room(requests * UNIT_WEIGHT, 1), "{events}");
        };
        check("", 8);
        check(&"+".repeat(100), 8);
        check("-", 4);
        check("--", 2);
        check("---", 1);
        check("-----", 1);
        check("-+++", 4);
        check("-++++", 5);
        check("-+++++++++", 6);
        check(&format!("-{}", ".".repeat(31)), 4);
        check(&format!("-{}", ".".repeat(32)), 5);
        check(&format!("-----{}", "+".repeat(1 + 2 + 3)), 4);
        check(&format!("-----{}", "+".repeat(100)), 8);
        // What was taken before it was halved says nothing about what is taken now.
        check("-+++-+", 2);
    }

    #[test]
    fn what_is_wider_than_the_window_goes_alone() {
        let window = Window::new(1);
        assert!(window.has_room(0, 100));
        assert!(!window.has_room(1, UNIT_WEIGHT));
    }
}
