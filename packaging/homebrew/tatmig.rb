class Tatmig < Formula
  desc "Migrate SQLite databases, one per user, from one Markdown file"
  homepage "https://github.com/tatmig/tatmig"
  url "https://github.com/tatmig/tatmig/archive/refs/tags/v0.1.0.tar.gz"
  license "MIT"
  head "https://github.com/tatmig/tatmig.git", branch: "main"

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    (buildpath/"man").mkpath
    system bin/"tatmig", "man", "--dir", buildpath/"man"
    man1.install Dir["man/*.1"]
    generate_completions_from_executable(bin/"tatmig", "completions")
  end

  test do
    system bin/"tatmig", "demo", testpath/"fleet"
    assert_match "head is", shell_output("cd #{testpath}/fleet && #{bin}/tatmig status")
  end
end
