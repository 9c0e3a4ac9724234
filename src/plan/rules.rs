//! The rules in words: why such a reason leads to a step, for whoever reads the record at night.

/// What the rule says by which a reason of this code leads to a step; none for a code that this version does not know.
#[must_use]
pub fn rule_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "Asked" => "what a person asks for is done at once, and is on record with the account that asked",
        "Missing" => "what is declared and not there is made",
        "NeededBy" => "what an object needs is made before the object",
        "NeverStarted" => "a container that was made is started, unless a person has stopped it",
        "NotRunning" => {
            "a container that should run and does not is started again, after growing pauses, until the budget is spent; \
             a stop by a person is left alone"
        }
        "StartFailed" => "a start that failed is tried again after a growing pause, then with a new container",
        "Restarting" => "a container that the engine restarts in vain is taken in hand, before it restarts for ever",
        "HalfRemoved" => "a removal that got stuck is finished",
        "Unhealthy" => "a container whose own check fails is restarted, after growing pauses, until the budget is spent",
        "ProbeFailing" => "a container whose declared probe fails is restarted, after growing pauses, until the budget is spent",
        "Outdated" => {
            "a container that differs from its manifest is replaced by one that does not, and the old one stays until the new one is well"
        }
        "RestartDidNotHelp" => "when restarting did not help, the container is made anew from the same image; volumes stay",
        "ImageSuspect" => "when making it anew did not help either, the last image that was well is tried",
        "ReplacementFailed" => "a new version that does not come up gives way to the old one",
        "Replaced" => "the old container goes when the new one is well",
        "LeftOver" => "what an interrupted replacement of ours has left is cleared away",
        "WantedAgain" => "a container that had stepped aside comes back when the manifest wants it again",
        "NoLongerWanted" => "a container of ours goes when its manifest is gone; volumes stay",
        "OtherProvider" => "a local model server is not needed while another provider is in force",
        "Disconnected" => "a container is connected to each network that its manifest names",
        "Doubled" => {
            "of two networks with one name the one of ours that nobody is on goes, since the engine cannot tell them apart"
        }
        "Misnamed" => "a container of ours bears the name that its manifest gives it",
        "SecretsMissing" => {
            "a secret that is in no file comes back from where it was last known, and is made anew only where nobody knows it"
        }
        "FileMissing" => "a file that was there and is gone is written again",
        "FileChanged" => "content that is good is kept, to come back from",
        "ComputedOutdated" => "computed values follow the cascade that they are computed from",
        "ModeTooOpen" => "a file of secrets is for its owner alone",
        "RoutesChanged" => "nginx's files follow the manifest: tested by nginx, put in force, loaded, proven by requests",
        "AddressMoved" => "nginx follows its backends to where they are now",
        "HandEdited" => "generated files that somebody has edited are generated again, unless `onHandEdit: keep` says otherwise",
        "CertificateChanged" => "a certificate that has changed is tested and loaded",
        "ChangeFailed" => "what was refused or does not work gives way to what worked last, with the addresses of now",
        "FixedBackends" => "a backend that nginx would look up once is made one that it follows, in files that carry the marker",
        "RepairUnproven" => "a repair that was broken off before it was proven is taken back, and made anew",
        "NotLoaded" => "files that nginx may not have read are loaded",
        "NginxRestarted" => "after a restart nginx is made to read the files that are in force",
        "NotProven" => "what was loaded is proven by requests before it counts as good",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_rule() {
        let source = include_str!("why.rs");
        let codes =
            source.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once("=> \"")?.1.strip_suffix("\","));
        let codes: Vec<&str> = codes.collect();
        assert!(codes.len() > 30, "{codes:?}");
        let without: Vec<_> = codes.into_iter().filter(|code| rule_of(code).is_none()).collect();
        assert_eq!(without, [""; 0]);
    }
}
