//! How each fault is brought about, and ended.

use std::{fs, time::Duration};

use mooring::{
    plan::container::{Health, State},
    source::parse::parse_file,
};

use super::{
    run::Stage,
    schedule::Fault,
    support::simulated::{Behaviour, outside::Thing},
    world::{NETWORK, SECRETS, behaviour},
    writes,
};

impl Stage {
    /// It begins.
    pub async fn begin(&mut self, fault: &Fault) {
        match fault {
            Fault::Engine(trouble, span) => self.hostile.suffer(*trouble, *span),
            Fault::Cut => self.hostile.cut(),
            Fault::Away(_) => {
                self.is_away = true;
                self.engine.go_away();
                self.hostile.cut();
            }
            Fault::ShutDown(_) => {
                self.is_away = true;
                self.hostile.late.forget();
                self.engine.shut_down().await;
                // Whoever goes away, hangs up, however soon there is another one.
                self.hostile.cut();
            }
            Fault::EngineDies(_) => {
                self.is_away = true;
                self.hostile.late.forget();
                self.engine.crash();
                self.hostile.cut();
            }
            Fault::SetClock(seconds) => {
                self.oracle.clock_set();
                self.set_clock(*seconds);
            }
            Fault::Crash(_) => self.crash().await,
            Fault::Restart(_) => self.stop().await,
            Fault::Exit(service, code) => self.exits(service, *code),
            Fault::Spoilt(service, _) => self.spoil(service, true),
            Fault::Deaf(service) => self.deafen(service),
            Fault::Kill(_)
            | Fault::Stop(_)
            | Fault::Start(_)
            | Fault::Remove(_)
            | Fault::Rename(_)
            | Fault::Disconnect(_)
            | Fault::Pause(..)
            | Fault::Unhealthy(_)
            | Fault::Squat(..) => self.by_hand(fault),
            Fault::Edge(fault) => {
                self.by_people(|stage| stage.begin_at_edge(fault));
            }
            Fault::Model(fault) => {
                self.by_people(|stage| stage.begin_at_model(fault));
            }
            Fault::Disk(trouble, _) => {
                if let Some(disks) = &mut self.disks {
                    disks.begin(*trouble);
                }
            }
            _ => {
                self.by_people(|stage| stage.in_files(fault));
            }
        }
    }

    /// People do it, and see to it that they can write.
    fn by_people(&mut self, work: impl FnOnce(&mut Self)) {
        // What was changed until now was not changed by them.
        writes::look();
        if let Some(disks) = &self.disks {
            disks.lift();
        }
        work(self);
        if let Some(disks) = &self.disks {
            disks.lay_back();
        }
    }

    /// It ends.
    pub async fn end(&mut self, fault: &Fault) {
        match fault {
            Fault::Edge(fault) => {
                self.by_people(|stage| stage.end_at_edge(fault));
            }
            Fault::Model(fault) => {
                self.by_people(|stage| stage.end_at_model(fault));
            }
            Fault::Disk(trouble, _) => {
                if let Some(disks) = &mut self.disks {
                    disks.end(*trouble);
                }
                if self.is_refused {
                    self.start().await;
                }
            }
            Fault::Engine(..) => self.hostile.recover(),
            Fault::Away(_) | Fault::ShutDown(_) => {
                self.is_away = false;
                self.engine.come_back();
            }
            Fault::EngineDies(_) => {
                self.is_away = false;
                self.engine.recover();
            }
            Fault::Crash(_) | Fault::Restart(_) => self.start().await,
            Fault::Spoilt(service, _) => self.spoil(service, false),
            Fault::Pause(service, _) => {
                let name = self.world.container(service);
                if self.thing(&name).is_some_and(|thing| thing.listed.state == State::Paused) {
                    self.engine.set_paused(&name, false);
                }
            }
            Fault::Squat(service, _) => {
                let name = self.world.container(service);
                if self.thing(&name).is_some_and(|thing| thing.listed.labels.is_empty()) {
                    self.engine.remove(&name);
                }
            }
            _ => {
                self.by_people(|stage| stage.files_again(fault));
            }
        }
    }

    /// What was done to files is undone.
    fn files_again(&mut self, fault: &Fault) {
        match fault {
            Fault::Garble(service, _) | Fault::Vanish(service, _) => {
                // Who takes a manifest away and brings it back begins anew.
                if let Fault::Vanish(..) = fault {
                    self.oracle.declared(&self.world, service);
                    self.oracle.begins_anew(service);
                }
                let file = format!("{service}.yaml");
                let text = self.world.files()[&file].clone();
                self.write(&file, &text);
            }
            Fault::GarbleSettings(_) => self.write(".env", &self.world.settings()),
            Fault::BlockSecrets(_) => {
                // It is empty, unless Mooring has put something into it.
                let _ = fs::remove_dir(self.path(".env.secrets"));
                self.tell();
            }
            Fault::Unmount(_) => {
                let away = self.directory.path().join("unmounted");
                if away.exists() {
                    if self.path("").exists() {
                        self.oracle.accuse("it writes where the desired state was mounted".to_owned());
                        fs::remove_dir_all(self.path("")).unwrap();
                    }
                    fs::rename(away, self.path("")).unwrap();
                    self.tell();
                }
            }
            _ => {}
        }
    }

    fn thing(&self, name: &str) -> Option<Thing> {
        self.engine.everything().into_iter().find(|thing| thing.listed.name == name)
    }

    fn exits(&self, service: &str, code: i64) {
        let name = self.world.container(service);
        if self.thing(&name).is_some_and(|thing| thing.listed.state == State::Running) {
            self.engine.exit(&name, code);
        }
    }

    /// A service answers nobody any more, for as long as it lives.
    pub fn deafen(&self, service: &str) {
        let thing = self.thing(&self.world.container(service));
        if let Some(thing) = thing.filter(|thing| thing.listed.state == State::Running) {
            self.network.deafen(&thing);
        }
    }

    /// What a service is made from is no good, or is good again.
    fn spoil(&self, service: &str, is_spoilt: bool) {
        let image = self.world.services[service].image;
        for version in 0..4 {
            let bad = Behaviour { exits_after: Some((Duration::from_secs(1), 1)), ..Behaviour::default() };
            let behaviour = if is_spoilt { bad } else { behaviour(image, version) };
            self.engine.image(&format!("{image}:{version}"), behaviour);
        }
    }

    /// What people do by hand, as far as the engine lets them.
    fn by_hand(&mut self, fault: &Fault) {
        let (Fault::Kill(service)
        | Fault::Stop(service)
        | Fault::Start(service)
        | Fault::Remove(service)
        | Fault::Rename(service)
        | Fault::Disconnect(service)
        | Fault::Pause(service, _)
        | Fault::Unhealthy(service)
        | Fault::Squat(service, _)) = fault
        else {
            return;
        };
        let name = self.world.container(service);
        let thing = self.thing(&name);
        if self.is_away {
            return;
        }
        let (service, is_running) = (service.clone(), thing.as_ref().is_some_and(|thing| thing.listed.state == State::Running));
        match (fault, thing) {
            (Fault::Kill(_), _) if is_running => self.engine.kill(&name),
            (Fault::Stop(_), _) if is_running => {
                self.deeds.stopped.insert(service);
                self.engine.stop(&name);
            }
            (Fault::Start(_), Some(thing)) if matches!(thing.listed.state, State::Exited { .. }) => {
                self.deeds.stopped.remove(&service);
                self.engine.start(&name);
            }
            (Fault::Remove(_), Some(_)) => {
                self.deeds.stopped.remove(&service);
                self.deeds.removed.insert(service);
                self.engine.remove(&name);
            }
            (Fault::Rename(_), Some(_)) if self.thing(&format!("{name}-old")).is_none() => {
                self.deeds.named.insert(service);
                self.engine.rename(&name, &format!("{name}-old"));
            }
            (Fault::Disconnect(_), Some(_)) => self.engine.disconnect(&name, NETWORK),
            (Fault::Pause(..), _) if is_running => self.engine.set_paused(&name, true),
            (Fault::Unhealthy(_), Some(thing)) if is_running && thing.listed.health != Health::None => {
                self.engine.set_health(&name, Health::Unhealthy);
            }
            (Fault::Squat(..), found) => {
                self.deeds.stopped.remove(&service);
                self.deeds.named.insert(service.clone());
                self.deeds.removed.insert(service);
                if found.is_some() {
                    self.engine.remove(&name);
                }
                self.engine.foreign(&name, &[]);
            }
            _ => {}
        }
    }

    /// What happens to files.
    fn in_files(&mut self, fault: &Fault) {
        if let Fault::LoseSecret(_) | Fault::LoseSecrets | Fault::BlockSecrets(_) = fault {
            self.deeds.secrets_lost += 1;
            // Taken away in the very moment in which they were made, they were nowhere else, and nobody had them.
            if !self.directory.path().join("state/environments/shop/.env.secrets").exists() {
                self.oracle.forget_secrets();
            }
        }
        match fault {
            Fault::Edit(service, value) => self.want(service, |wanted| wanted.value = *value),
            Fault::Upgrade(service, version) => self.want(service, |wanted| wanted.version = *version),
            Fault::Setting(value) => {
                self.world.setting = *value;
                for (name, service) in &self.world.services {
                    if service.variables.contains(&"LEVEL") {
                        self.deeds.changed.insert(name.clone());
                    }
                }
                self.oracle.declared(&self.world, "");
                self.write(".env", &self.world.settings());
            }
            Fault::Garble(service, _) => {
                let file = format!("{service}.yaml");
                let text = self.world.files()[&file].clone();
                let half = &text[..text.len() * 2 / 3];
                // One with less in it may be whole, and then it is what people want.
                if parse_file(file.as_ref(), half.as_bytes()).is_ok() {
                    self.oracle.declared(&self.world, service);
                }
                self.write(&file, half);
            }
            Fault::Vanish(service, _) => {
                let _ = fs::remove_file(self.path(&format!("{service}.yaml")));
                self.tell();
            }
            Fault::GarbleSettings(_) => self.write(".env", "# Ours.\nLEVEL='unfinished\n"),
            Fault::LoseSecret(number) => {
                let path = self.path(".env.secrets");
                let Ok(text) = fs::read_to_string(&path) else { return };
                let prefix = format!("{}=", SECRETS[*number]);
                let kept: String = text.lines().filter(|line| !line.starts_with(&prefix)).flat_map(|line| [line, "\n"]).collect();
                self.write(".env.secrets", &kept);
            }
            Fault::LoseSecrets => {
                let _ = fs::remove_file(self.path(".env.secrets"));
                self.tell();
            }
            Fault::BlockSecrets(_) => {
                let path = self.path(".env.secrets");
                let _ = fs::remove_file(&path);
                let _ = fs::create_dir(&path);
                self.tell();
            }
            Fault::Unmount(_) => {
                let away = self.directory.path().join("unmounted");
                if !away.exists() {
                    fs::rename(self.path(""), away).unwrap();
                    self.tell();
                }
            }
            _ => {}
        }
    }

    /// People want something else of a service.
    fn want(&mut self, service: &str, change: impl FnOnce(&mut super::world::Service)) {
        if let Some(wanted) = self.world.services.get_mut(service) {
            change(wanted);
        }
        self.deeds.changed.insert(service.to_owned());
        self.oracle.declared(&self.world, service);
        let file = format!("{service}.yaml");
        let text = self.world.files()[&file].clone();
        self.write(&file, &text);
    }
}
