/**
 * TCP connections to the outside: kept over --kill and restore, with all that was on their way; closed or refused by
 * name otherwise. The far ends are clients that connect once.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { type CrResult, describeResult, jsonOf } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { type LineClient, lineClient } from "../harness/line-client.js";
import { isAlive, killHard, runsFreely } from "../harness/process.js";
import { expectRefusal } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

// A peer asks again ever more seldom, the longer it was not answered.
vi.setConfig({ testTimeout: 180_000 });

interface Served {
  readonly target: Target;
  readonly client: LineClient;
  readonly core: string;
}

/** A server with one client that has been served once. */
async function withClient(act: (scene: Scene, served: Served) => Promise<void>, family: "4" | "6" = "4") {
  await withScene(async (scene) => {
    const address = family === "6" ? "::1" : "127.0.0.1";
    const target = await scene.start([fixture("echo"), "FOLDER", family, address]);
    await target.says("port");
    const client = await lineClient(Number(/port (\d+)/.exec(target.output())?.[1]), address);
    try {
      client.send("one\n");
      expect(await client.line()).toBe("1 one");
      await act(scene, { target, client, core: join(scene.folder, "core") });
    } finally {
      client.close();
    }
  });
}

/** Checkpoints with --kill; when this returns the target is gone. */
async function saveAndKill(
  scene: Scene,
  { target, core }: Served,
  ...extra: readonly string[]
): Promise<CrResult> {
  const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", core, "--kill", "--json", ...extra]);
  expect(result.status, describeResult(result)).toBe(0);
  expect(isAlive(target)).toBe(false);
  return result;
}

async function restoreDetached(scene: Scene, { core }: Served, ...extra: readonly string[]) {
  const result = await scene.cr(["restore", core, "--detach", "--json", ...extra]);
  expect(result.status, describeResult(result)).toBe(0);
  return scene.adopt(Number(jsonOf(result).pid));
}

describe("a connection to the outside", () => {
  test.concurrent.each(["4", "6"] as const)(
    "goes on after --kill and restore, three times (IPv%s)",
    (family) =>
      withClient(async (scene, served) => {
        const { target, client, core } = served;
        let life = { pid: target.pid };
        for (let cycle = 1; cycle <= 3; cycle += 1) {
          const saved = await scene.cr([
            "checkpoint",
            `${life.pid}`,
            "-o",
            `${core}.${cycle}`,
            "--kill",
            "--json",
          ]);
          expect(saved.status, describeResult(saved)).toBe(0);
          expect(jsonOf(saved).softErrors).toEqual([]);
          client.send(`while it is dead ${cycle}\n`);
          life = await restoreDetached(scene, { ...served, core: `${core}.${cycle}` });
          expect(await client.line()).toBe(`${2 * cycle} while it is dead ${cycle}`);
          client.send("later\n");
          expect(await client.line()).toBe(`${2 * cycle + 1} later`);
        }
        expect(client.ended()).toBeNull();
      }, family),
  );

  test.concurrent("keeps what neither side has read yet", () =>
    withClient(async (scene, served) => {
      const { target, client } = served;
      client.pause();
      client.send("flood\nwait\n");
      await target.says("waits");
      const unread = "x".repeat(30_000);
      client.send(`${unread}\n`);
      await saveAndKill(scene, served);
      await restoreDetached(scene, served);
      target.go();
      client.resume();
      const count = Number(/flood (\d+)/.exec(target.output())?.[1]);
      expect(count).toBeGreaterThan(100_000);
      expect(await client.take(count)).toBe("f".repeat(count));
      expect(await client.line()).toBe(`2 ${unread}`);
    }));

  test.concurrent("is closed on demand, and the program finds out", () =>
    withClient(async (scene, served) => {
      const { target, client, core } = served;
      const saved = await checkpoint(scene, { target, core });
      expect(saved.softErrors).toEqual([
        expect.objectContaining({
          kind: "tcp",
          message: expect.stringContaining(`127.0.0.1:${client.port}`),
        }),
      ]);
      client.send("it goes on\n");
      expect(await client.line()).toBe("2 it goes on");
      await killHard(target);
      const refused = await scene.cr(["restore", core, "--detach"]);
      expectRefusal(refused, {
        codes: ["FD_OUTSIDE"],
        names: new RegExp(
          `127.0.0.1:${client.port}, which process ${process.pid} .* as descriptor \\d+\\): the program ran on`,
        ),
      });
      await restoreDetached(scene, served, "--tcp", "close");
      await target.says("ended: Connection reset by peer");
      const next = await lineClient(Number(/port (\d+)/.exec(target.output())?.[1]));
      next.send("again\n");
      expect(await next.line()).toBe("2 again");
      next.close();
    }));

  test.concurrent("that was saved with --tcp close is closed by itself", () =>
    withClient(async (scene, served) => {
      const { target, client } = served;
      await saveAndKill(scene, served, "--tcp", "close");
      await eventually("the client knows", () => client.ended() !== null);
      await restoreDetached(scene, served);
      await target.says("ended: Connection reset by peer");
    }));

  test.concurrent("is refused with --tcp refuse, with its peer", () =>
    withClient(async (scene, { target, client, core }) => {
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", core, "--tcp", "refuse"]);
      const peer = `127.0.0.1:${client.port}, which process ${process.pid} .* has as descriptor \\d+ \\(TCP\\)`;
      expectRefusal(result, { codes: ["UNSUPPORTED_STATE"], names: new RegExp(`connection to ${peer}`) });
      expect(runsFreely(target)).toBe(true);
      expect(existsSync(core)).toBe(false);
      client.send("two\n");
      expect(await client.line()).toBe("2 two");
    }));

  test.concurrent("is lost when its packets are held no more", () =>
    withClient(async (scene, served) => {
      const { client, core } = served;
      await saveAndKill(scene, served, "--tcp-hold", "200ms");
      await eventually("the client has been told", () => {
        client.send("is somebody there\n");
        return client.ended() !== null;
      });
      expectRefusal(await scene.cr(["restore", core, "--detach"]), {
        codes: ["FD_OUTSIDE"],
        names: /not held any more/,
      });
      await restoreDetached(scene, served, "--tcp", "close");
    }));

  test.concurrent.each(["in-repair", "after-repair", "after-hold", "after-copy", "before-commit"])(
    "is unharmed when cr dies at %s",
    (point) =>
      withClient(async (scene, { target, client, core }) => {
        for (const [index, fault] of [point, `${point}:error`].entries()) {
          const args = ["checkpoint", `${target.pid}`, "-o", core, "--kill"];
          const result = await scene.cr(args, { env: { CR_FAULT: fault } });
          expect(result.status, describeResult(result)).toBe(fault === point ? null : 1);
          client.send("still\n");
          expect(await client.line()).toBe(`${index + 2} still`);
          await eventually("it goes on", () => runsFreely(target));
        }
        expect(existsSync(core)).toBe(false);
      }),
  );

  test.concurrent("survives a restore that fails", () =>
    withClient(async (scene, served) => {
      const { client, core } = served;
      await saveAndKill(scene, served);
      client.send("two\n");
      for (const fault of ["restore-after-rebuild", "restore-after-rebuild:error"]) {
        const failed = await scene.cr(["restore", core, "--detach"], { env: { CR_FAULT: fault } });
        expect(failed.status, describeResult(failed)).not.toBe(0);
      }
      await restoreDetached(scene, served);
      expect(await client.line()).toBe("2 two");
    }));

  test.concurrent("is refused without CAP_NET_ADMIN, and closed on demand", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("echo"), "FOLDER", "4", "127.0.0.1"], { asNobody: true });
      await target.says("port");
      const client = await lineClient(Number(/port (\d+)/.exec(target.output())?.[1]));
      await target.says("accepted");
      const core = join(target.folder, "core");
      const args = ["checkpoint", `${target.pid}`, "-o", core, "--kill"];
      const names = new RegExp(`connection to 127.0.0.1:${client.port} \\(TCP\\)`);
      expectRefusal(await scene.cr(args, { asNobody: true }), { codes: ["UNSUPPORTED_STATE"], names });
      const kept = await scene.cr([...args, "--tcp", "keep"], { asNobody: true });
      expectRefusal(kept, { codes: ["UNSUPPORTED_STATE"], names: /CAP_NET_ADMIN/ });
      expect(runsFreely(target)).toBe(true);
      const closed = await scene.cr([...args, "--tcp", "close"], { asNobody: true });
      expect(closed.status, describeResult(closed)).toBe(0);
      await eventually("the client knows", () => client.ended() !== null);
      const restored = await scene.cr(["restore", core, "--detach", "--json"], { asNobody: true });
      expect(restored.status, describeResult(restored)).toBe(0);
      scene.adopt(Number(jsonOf(restored).pid));
      await target.says("ended: Connection reset by peer");
    }));
});

describe("a program with full connections to itself", () => {
  test.concurrent.each(["in-repair", "after-repair"])("is unharmed when cr dies at %s", (point) =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("tcp"), "FOLDER"]);
      await target.says("ready");
      const core = join(scene.folder, "core");
      for (const fault of [point, `${point}:error`]) {
        const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", core], {
          env: { CR_FAULT: fault },
        });
        expect(result.status, describeResult(result)).toBe(fault === point ? null : 1);
        await eventually("it goes on", () => runsFreely(target));
      }
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }),
  );
});
