use turn_server::Config;
use turn_server::turn::{CredentialsError, Users};

use super::problem::Problem;
use super::settings::{Settings, Shy, read};

/// Who may use the server, by the settings and the files that they name, as they are now.
pub(crate) fn load(settings: &Settings, config: &Config) -> Result<Users, Problem> {
    let mut users = Users::default();
    let (provider, realm) = (config.turn.provider, config.turn.realm.as_str());
    let mut add = |place: &dyn Fn() -> String, line: &str| {
        let wrong = |reason| Problem::User { place: place(), reason };
        let (name, password) = line.split_once(':').ok_or_else(|| wrong("not of the form NAME:PASSWORD"))?;
        users.add(provider, realm, name, password).map_err(|error| match error {
            CredentialsError::Username => wrong("the name cannot be one"),
            CredentialsError::Password | _ => wrong("the password cannot be one"),
        })
    };
    for user in settings.user.iter().flatten() {
        add(&|| "--user".into(), user.text())?;
    }
    if let Some(path) = &settings.users {
        for (number, line) in lines(&read(path)?) {
            add(&|| format!("{}, line {number}", path.display()), line)?;
        }
    }
    let text = settings.secrets.as_deref().map(read).transpose()?.unwrap_or_default();
    let given = settings.secret.iter().flatten().map(Shy::text);
    let secrets: Vec<&str> = given.chain(lines(&text).map(|(_, secret)| secret)).collect();
    if secrets.len() > 2 {
        return Err(Problem::User { place: "--secrets".into(), reason: "more than two secrets" });
    }
    secrets.iter().for_each(|secret| users.add_secret(provider, secret.as_bytes()));
    if users.is_empty() { Err(Problem::Nobody) } else { Ok(users) }
}

/// The lines that say something, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = (1..).zip(text.lines().map(str::trim));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(users: &str, secrets: &str) -> Result<Users, Problem> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let mut settings = Settings::default();
        settings.users = Some(write("users", users));
        settings.secrets = Some(write("secrets", secrets));
        load(&settings, &settings.server().unwrap())
    }

    #[test]
    fn users_and_secrets_are_read_line_by_line() {
        let users = with("# all of them\n\nalice:wonder:land\n  bob:x\n", "north\nsouth\n").unwrap();
        assert_eq!(users.len(), 2);
        assert!(!with("", "north").unwrap().is_empty());
    }

    #[test]
    fn a_wrong_line_is_said_with_its_number_and_without_its_text() {
        for (users, secrets, part) in [
            ("alice:a\nhunter2", "", "users, line 2: not of the form NAME:PASSWORD"),
            (":hunter2", "", "users, line 1: the name"),
            ("alice:", "", "users, line 1: the password"),
            ("", "", "nobody may use this server"),
            ("", "a\nb\nc", "more than two secrets"),
        ] {
            let problem = with(users, secrets).unwrap_err().to_string();
            assert!(problem.contains(part) && !problem.contains("hunter2"), "{problem}");
        }
    }
}
