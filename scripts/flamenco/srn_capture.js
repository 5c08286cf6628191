// A job type for Flamenco 3: captures views with SRN for Blender, shared among the workers of a farm.
//
// Copy this file into the folder `scripts` beside the Flamenco Manager and restart it; "SRN Capture" then stands among
// the job types of Flamenco's add-on. What is captured, from where and how is what the file was saved with. Each task
// is one shard, `blender FILE --command srn_capture --shard 1/8`: it renders its own views and no others, and the
// shards complete the dataset among them, in whatever order they run. A task that failed or was lost can run again; it
// goes on where it stopped. Every worker needs the extension SRN for Blender, enabled, in the same version as where the
// file was saved, and the dataset's folder at the same path.
//
// Not tried on a farm: a test runs compileJob() in Node with a stand-in for what Flamenco gives to job types, and the
// command itself in Blender, but no test has a Flamenco Manager or a worker.

const JOB_TYPE = {
    label: "SRN Capture",
    description: "Captures the views that are chosen in the file, shared among workers as shards of one dataset",
    settings: [
        {
            key: "shards", type: "int32", required: true, default: 8, visible: "submission",
            description: "How many tasks the views are shared among",
        },
        {
            key: "dataset", type: "string", subtype: "dir_path", required: true, visible: "submission",
            eval: "bpy.path.abspath(bpy.context.scene.srn.dataset_path)",
            description: "Folder that all workers write the views into",
        },
        {
            key: "scene", type: "string", required: true, visible: "web",
            eval: "bpy.context.scene.name",
            description: "The scene whose choices count",
        },
        {
            key: "blendfile", type: "string", required: true, visible: "web",
            description: "Path of the file to capture from",
        },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    if (!(settings.shards >= 1)) {
        throw new Error("Set Shards to at least 1.");
    }
    for (let number = 1; number <= settings.shards; number++) {
        const shard = `${number}/${settings.shards}`;
        const task = author.Task(`capture-${number}-of-${settings.shards}`, "blender");
        task.addCommand(author.Command("blender-render", {
            exe: "{blender}",
            exeArgs: "{blenderArgs}",
            argsBefore: [],
            blendfile: settings.blendfile,
            // --command takes all that follows it, so it comes last.
            args: ["--command", "srn_capture", "--shard", shard, "--scene", settings.scene, "--dataset", settings.dataset],
        }));
        job.addTask(task);
    }
}
