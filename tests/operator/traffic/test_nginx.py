"""What only nginx can get wrong: reloads that lie, half-written splits, a folder it cannot see."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from mina_ops.demo import programs
from mina_ops.errors import ToolMissing, TrafficError
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.nginx.driver import NginxDriver
from tests.operator.balancers import Balancer, nginx_in_front
from tests.operator.stand_in import StandIns
from tests.operator.traffic.killed_applier import applier
from tests.support.needs import need
from tests.support.wait import eventually


def green(percent: int, **cohorts: str) -> Split:
    return Split({"blue": 100 - percent, "green": percent}, cohorts)


def driver_of(balancer: Balancer) -> NginxDriver:
    driver = open_driver(balancer.settings())
    assert isinstance(driver, NginxDriver)
    return driver


def test_a_controller_killed_at_any_step_leaves_a_whole_split(nginx: Balancer) -> None:
    """Before each step in turn the applier is killed; the next one works as if nothing was."""
    whole = [green(0), green(3, **{"12345": "green"})]
    killed = 0
    with applier(nginx.toml, 3) as apply_until:
        while (ending := apply_until(killed + 1)) != 0:
            assert ending == -signal.SIGKILL
            killed += 1
            assert driver_of(nginx).read().split in whole, f"killed before step {killed}"
            nginx.driver.apply(green(0))
            assert nginx.driver.check() == []
    assert killed > 20
    assert driver_of(nginx).read().split == whole[1]
    assert not list((nginx.folder / "state/splits").glob(".draft-*"))


def test_a_full_disk_changes_nothing(nginx: Balancer) -> None:
    nginx.driver.apply(green(25))
    # No file may grow: every write fails as on a full disk, for root too.
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from mina_ops.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", program, "--config", str(nginx.toml)]
    command += ["switch", "blue", "green", "--instant"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 7
    assert "Cannot write in" in done.stderr
    assert "Traffic is as it was" in done.stderr
    assert nginx.driver.read().split == green(25)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 0
    assert nginx.driver.apply(green(50)).after.split == green(50)


def test_a_half_written_split_is_no_split(nginx: Balancer) -> None:
    before = nginx.driver.apply(green(25)).after
    draft = nginx.folder / "state/splits/.draft-99"
    (draft / "green").mkdir(parents=True)
    (draft / "green/1").touch()
    assert nginx.driver.read() == before
    assert nginx.driver.apply(green(26)).after.generation == before.generation + 1
    assert not draft.exists()


def test_only_a_few_old_splits_are_kept(nginx: Balancer) -> None:
    for percent in range(1, 15):
        nginx.driver.apply(green(percent))
    kept = {entry.name for entry in (nginx.folder / "state/splits").iterdir()}
    # The newest five, and a way to send everybody to blue that needs no room on the disk.
    assert len(kept) == 6
    assert str(nginx.driver.read().generation) in kept


def test_nginx_says_the_colour_that_a_visitor_really_gets(nginx: Balancer) -> None:
    nginx.driver.apply(green(40, **{"12345": "green"}))
    control = driver_of(nginx).control
    for number in range(30):
        key = f"mina_key=visitor-{number}"
        assert control.route(key=key)["colour"] == nginx.get("/", Cookie=key).colour
    assert control.route(user=("X-User-ID", "12345"))["colour"] == "green"


def test_the_control_address_is_on_loopback_only(nginx: Balancer) -> None:
    for path in ("/configuration", "/route", "/split/split.json"):
        assert "fingerprint" not in str(nginx.get(path).body)
        assert nginx.get(path).body["instance"] in ("0", "1")


def test_a_configuration_that_nginx_refuses_is_taken_back(nginx: Balancer) -> None:
    before = (nginx.folder / "state/mina.conf").read_text()
    main = nginx.folder / "nginx.conf"
    main.write_text(main.read_text() + "nonsense;\n")
    nginx.toml.write_text(nginx.toml.read_text() + '\nmax_body = "17m"\n')
    driver = driver_of(nginx)
    assert any("refuses its configuration" in problem for problem in driver.check())
    with pytest.raises(TrafficError, match=r"refuses the configuration.*nonsense"):
        driver.install()
    assert (nginx.folder / "state/mina.conf").read_text() == before
    assert nginx.get("/").status == 200


def test_a_reload_that_nginx_only_claims_is_found_out(nginx: Balancer) -> None:
    """`nginx -t` and `nginx -s reload` return 0 for a port that is taken, and nothing changes."""
    main = nginx.folder / "nginx.conf"
    main.write_text(main.read_text().replace("error_log stderr", "error_log error.log"))
    nginx.stop()
    nginx.start()
    before = (nginx.folder / "state/mina.conf").read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        nginx.toml.write_text(
            nginx.toml.read_text().replace(
                f'listen = "127.0.0.1:{nginx.port}"', f'listen = "127.0.0.1:{port}"'
            )
        )
        with pytest.raises(TrafficError, match=r"does not serve the new .*Address already in use"):
            driver_of(nginx).install()
    assert (nginx.folder / "state/mina.conf").read_text() == before
    assert nginx.driver.check() == []
    assert nginx.driver.apply(green(10)).after.split == green(10)


def test_a_missing_nginx_is_named(nginx: Balancer) -> None:
    text = nginx.toml.read_text()
    binary = need(programs.nginx)
    nginx.toml.write_text(text.replace(str(binary), "nginx-that-is-not-there"))
    with pytest.raises(ToolMissing, match="nginx-that-is-not-there is not installed"):
        driver_of(nginx).check()
    # A switch needs no program at all.
    assert driver_of(nginx).apply(green(10)).after.split == green(10)


def test_an_nginx_that_looks_at_another_folder_is_found_out(nginx: Balancer) -> None:
    other = nginx.folder / "other"
    shutil.copytree(nginx.folder / "state", other, symlinks=True)
    nginx.driver.apply(green(10))
    text = nginx.toml.read_text().replace('state = "state"', f'state = "{other}"')
    nginx.toml.write_text(text)
    with pytest.raises(TrafficError, match="another folder"):
        driver_of(nginx).apply(green(50))
    assert nginx.driver.read().split == green(10)


def test_something_else_at_the_control_address_is_found_out(
    nginx: Balancer, apps: StandIns
) -> None:
    control = driver_of(nginx).control.address
    address = apps.instances["blue"][0].address
    nginx.toml.write_text(nginx.toml.read_text().replace(control, address))
    with pytest.raises(TrafficError, match="no split"):
        driver_of(nginx).read()


def test_a_frozen_nginx_is_an_error_and_no_wait(
    nginx: Balancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINA_OPS_PATIENCE", "0.2")
    nginx.server.pause()
    try:
        with pytest.raises(TrafficError, match="does not answer"):
            nginx.driver.apply(green(50))
    finally:
        nginx.server.resume()
    monkeypatch.setenv("MINA_OPS_PATIENCE", "10")
    assert nginx.driver.read().split == green(0)


def test_a_lost_link_is_put_back_by_install(nginx: Balancer) -> None:
    nginx.driver.apply(green(70))
    (nginx.folder / "state/current").unlink()
    with pytest.raises(TrafficError, match="answers 404"):
        nginx.driver.read()
    assert nginx.driver.install() == ["first split: blue 100 %, green 0 %"]
    assert nginx.driver.read().split == green(0)


def test_a_trusted_proxy_is_believed(tmp_path: Path, apps: StandIns, nginx_binary: Path) -> None:
    more = 'trusted_proxies = ["127.0.0.0/8"]'
    with nginx_in_front(tmp_path, apps, nginx_binary, more) as balancer:
        answer = balancer.get(
            "/",
            X_Forwarded_For="9.9.9.9, 203.0.113.7",
            X_Forwarded_Proto="https",
            X_Forwarded_Host="mina.example",
        )
    headers = answer.body["headers"]
    assert headers["x-forwarded-for"] == "203.0.113.7"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["host"] == "mina.example"
    assert "Secure" in answer.headers["set-cookie"]


def test_the_access_log_holds_no_session_id_whole(
    tmp_path: Path, apps: StandIns, nginx_binary: Path
) -> None:
    with nginx_in_front(tmp_path, apps, nginx_binary, 'access_log = "visits.log"') as balancer:
        for sid in ("blue.0~secret1", "blue.0%7Esecret2"):
            balancer.get(f"/socket.io/?EIO=4&sid={sid}&t=x")
        balancer.get("/page?sid=7&last=1")
        log = tmp_path / "visits.log"
        eventually(
            lambda: "/page?sid=7&last=1 HTTP/1.1" in log.read_text(), 5, "no line is written"
        )
    lines = log.read_text().splitlines()
    assert [line.split('"')[1] for line in lines[:2]] == [
        "GET /socket.io/?EIO=4&sid=blue.0~...&t=x HTTP/1.1",
        "GET /socket.io/?EIO=4&sid=blue.0%7E...&t=x HTTP/1.1",
    ]
    assert "secret" not in log.read_text()


def test_users_by_name_can_come_from_a_cookie(
    tmp_path: Path, apps: StandIns, nginx_binary: Path
) -> None:
    with nginx_in_front(tmp_path, apps, nginx_binary, 'user_cookie = "uid"') as balancer:
        balancer.driver.apply(green(0, **{"12345": "green"}))
        assert balancer.get("/", Cookie="uid=12345").colour == "green"
        assert balancer.get("/", Cookie="uid=1").colour == "blue"
        assert balancer.get("/", X_User_ID="12345").colour == "blue"


def test_the_site_speaks_tls(tmp_path: Path, apps: StandIns, nginx_binary: Path) -> None:
    openssl = need(lambda: programs.installed("openssl", "Install Debian's openssl."))
    command = [str(openssl), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", "key.pem", "-out", "site.pem", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    more = 'certificate = "site.pem"\ncertificate_key = "key.pem"'
    with nginx_in_front(tmp_path, apps, nginx_binary, more) as balancer:
        trust = ssl.create_default_context(cafile=str(tmp_path / "site.pem"))
        url = f"https://127.0.0.1:{balancer.port}/"
        with urllib.request.urlopen(url, context=trust, timeout=30) as response:
            assert b'"x-forwarded-proto": "https"' in response.read()
            assert "Secure" in response.headers["Set-Cookie"]


def test_workers_of_another_user_can_read_a_split_whatever_the_umask(nginx: Balancer) -> None:
    before = os.umask(0o077)
    try:
        nginx.driver.apply(green(3, **{"7": "blue"}))
    finally:
        os.umask(before)
    current = (nginx.folder / "state/current").resolve()
    found = [current.parent, current, *current.rglob("*")]
    assert len(found) > 7
    for path in found:
        needed = 0o755 if path.is_dir() else 0o644
        assert stat.S_IMODE(path.stat().st_mode) == needed, path
