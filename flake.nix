{
  description = "Migrate SQLite databases, one per user, from one Markdown file";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      forEach = nixpkgs.lib.genAttrs systems;
      manifest = (builtins.fromTOML (builtins.readFile ./Cargo.toml)).package;
    in {
      packages = forEach (system:
        let pkgs = nixpkgs.legacyPackages.${system}; in {
          default = pkgs.rustPlatform.buildRustPackage {
            pname = manifest.name;
            version = manifest.version;
            src = self;
            cargoLock.lockFile = ./Cargo.lock;
            nativeBuildInputs = [ pkgs.installShellFiles ];
            # The tests need strace and npm packages; `.ci/run` runs them.
            doCheck = false;
            postInstall = ''
              mkdir man
              $out/bin/tatmig man --dir man
              installManPage man/*.1
              for shell in bash zsh fish; do
                $out/bin/tatmig completions $shell > tatmig.$shell
              done
              installShellCompletion tatmig.{bash,zsh,fish}
            '';
            meta.mainProgram = "tatmig";
          };
        });
    };
}
