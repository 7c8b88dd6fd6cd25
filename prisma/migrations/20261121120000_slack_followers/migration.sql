-- AlterTable
ALTER TABLE "cards" ADD COLUMN     "escalation_posted" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "reminder_posted" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "told" "RequestState"[];

-- CreateTable
CREATE TABLE "slack_links" (
    "team_id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "linked_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "slack_links_pkey" PRIMARY KEY ("team_id","user_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "slack_links_team_id_owner_id_key" ON "slack_links"("team_id", "owner_id");
