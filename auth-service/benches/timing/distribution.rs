//! Times of several kinds of requests, taken in turn, and how far they can be told apart.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// Takes the time of `tries` requests of each of `kinds`, in turn and one each `pause`, and prints
/// how they compare with the first kind's. `request` gets the number of the kind and of the try.
pub async fn compare<F>(
    kinds: &[&str],
    tries: u32,
    pause: Duration,
    request: impl Fn(usize, usize) -> F,
) where
    F: Future<Output = Duration> + Send + 'static,
{
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut running: Vec<Vec<_>> = kinds.iter().map(|_| Vec::new()).collect();
    for number in 0..tries as usize {
        for offset in 0..kinds.len() {
            // Another order in each round.
            let step = if number % 2 == 0 { 1 } else { kinds.len() - 1 };
            let kind = (number + offset * step) % kinds.len();
            ticks.tick().await;
            running[kind].push(tokio::spawn(request(kind, number)));
        }
    }
    let mut measured = Vec::new();
    for requests in running {
        let mut seconds = Vec::new();
        for time in requests {
            seconds.push(time.await.expect("no panic").as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        measured.push(seconds);
    }
    println!("{:<22} {:>6} {:>10} {:>10} {:>6}", "", "tries", "median ms", "p95 ms", "KS");
    for (name, times) in kinds.iter().zip(&measured) {
        let at = |share: usize| 1000.0 * times[(times.len() - 1) * share / 100];
        let distance = distance(times, &measured[0]);
        let (tries, median, p95) = (times.len(), at(50), at(95));
        println!("{name:<22} {tries:>6} {median:>10.2} {p95:>10.2} {distance:>6.3}");
    }
    println!("KS by chance: below {:.3}", 1.358 * (2.0 / f64::from(tries)).sqrt());
}

/// The greatest difference between two distributions, each given in order.
fn distance(one: &[f64], other: &[f64]) -> f64 {
    let share = |times: &[f64], time: f64| {
        let below = u32::try_from(times.partition_point(|one| *one <= time)).expect("a few");
        f64::from(below) / f64::from(u32::try_from(times.len()).expect("a few"))
    };
    let all = one.iter().chain(other);
    all.map(|time| (share(one, *time) - share(other, *time)).abs()).fold(0.0, f64::max)
}
