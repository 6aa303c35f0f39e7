//! Starts `tatmig lsp` in Zed: the program of the setting `lsp.tatmig.binary.path`, else of `PATH`.

use zed_extension_api::settings::LspSettings;
use zed_extension_api::{Command, Extension, LanguageServerId, Result, Worktree, register_extension};

struct Tatmig;

impl Extension for Tatmig {
    fn new() -> Self {
        Self
    }

    fn language_server_command(
        &mut self,
        server: &LanguageServerId,
        worktree: &Worktree,
    ) -> Result<Command> {
        let settings = LspSettings::for_worktree(server.as_ref(), worktree)?;
        let configured = settings.binary.and_then(|binary| binary.path);
        let command = configured.or_else(|| worktree.which("tatmig")).ok_or(
            "the program `tatmig` is not on PATH: install it, or set `lsp.tatmig.binary.path`",
        )?;
        Ok(Command { command, args: vec!["lsp".to_owned()], env: worktree.shell_env() })
    }
}

register_extension!(Tatmig);
