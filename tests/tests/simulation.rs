//! Runs of the simulation: what always holds holds in all of them, and a seed is a run.

use cache_tests::simulation::run;

#[test]
fn a_seed_reproduces_its_run() {
    for seed in 0..40 {
        let first = run(seed, None, true);
        let second = run(seed, None, true);
        assert_eq!(first.violation, second.violation, "seed {seed}");
        assert_eq!(first.steps, second.steps, "seed {seed}");
        for (line, (one, other)) in first.log.iter().zip(&second.log).enumerate() {
            assert_eq!(one, other, "seed {seed}, line {line}");
        }
        assert_eq!(first.log.len(), second.log.len(), "seed {seed}");
        assert!(first.log.len() > 50, "seed {seed}: something happens");
    }
}
